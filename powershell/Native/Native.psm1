# The native library for the modules Uss and Vap: finds and loads it, opens connections, runs operations.
# Its interface is described in include/uss.h. Nothing here knows a command: fields go in, objects come out.
Set-StrictMode -Version Latest

if ($ExecutionContext.SessionState.LanguageMode -ne 'FullLanguage') {
    throw 'This module needs the full language mode: have its files allowed by the application control policy.'
}

$script:AbiVersion = 1
$script:LibraryVersion = '0.1.0'
$script:Native = $null

# The first call in a process pays for every distinct .NET call on its way, so there are few, and nothing is made at import.

function Get-UssLibraryPath {
    # native/<rid>/<file> beside this module.
    $files = @{
        'linux-x64' = 'libuss.so'; 'linux-arm64' = 'libuss.so'; 'linux-musl-x64' = 'libuss.so'; 'linux-musl-arm64' = 'libuss.so'
        'osx-x64' = 'libuss.dylib'; 'osx-arm64' = 'libuss.dylib'; 'win-x64' = 'uss.dll'; 'win-arm64' = 'uss.dll'
    }
    if ($PSEdition -eq 'Core') { $rid = [System.Runtime.InteropServices.RuntimeInformation]::RuntimeIdentifier } else { $rid = 'win' }
    if ($null -eq $files[$rid]) {
        # Windows PowerShell, or a .NET that a Linux distribution built and named after itself.
        $system = if ($rid -like 'win*') { 'win' } elseif ($rid -like 'alpine*') { 'linux-musl' } else { 'linux' }
        $rid = "$system-$([System.Runtime.InteropServices.RuntimeInformation]::ProcessArchitecture)".ToLowerInvariant()
    }
    $path = "$PSScriptRoot/native/$rid/$($files[$rid])"
    if ($rid -like 'win*') { return $path.Replace('/', '\') }
    $path
}

function Get-UssNative {
    # The type whose static methods are the native functions, or one clear terminating error in the cmdlet's name.
    param($Cmdlet)
    if ($null -ne $script:Native) { return $script:Native }
    try { New-UssNative }
    catch {
        $cause = $_.Exception.GetBaseException().Message
        Stop-UssCmdlet $Cmdlet 'NativeLibraryUnavailable' "The module's native library cannot be used: $cause" `
            'Install the module again, for this system and processor.' 'ResourceUnavailable' (Get-UssLibraryPath)
    }
}

function New-UssNative {
    # Makes the type, once a process. Uss and Vap of one version share it: the first module's file is loaded, the other
    # reuses it.
    $key = "Uss.Native $script:AbiVersion $script:LibraryVersion"
    $lock = [string]::Intern($key)
    [System.Threading.Monitor]::Enter($lock)
    try {
        $domain = [System.AppDomain]::CurrentDomain
        $native = $domain.GetData($key)
        if ($null -eq $native) {
            # Result, then parameters. [long[]] is a uss_out {id, length}, or an array of uint64_t.
            $functions = @{
                uss_abi_version      = [uint32]
                uss_connection_open  = [int], [byte[]], [int], [System.IntPtr], [int], [long[]]
                uss_connection_close = [int], [long]
                uss_op_start         = [int], [byte[]], [int], [long[]]
                uss_op_wait          = [int], [long], [int], [long[]], [int], [long[]]
                uss_op_cancel        = [int], [long]
                uss_op_take_result   = [int], [long], [long[]]
                uss_op_free          = [int], [long]
                uss_log_drain        = [int], [long], [long[]]
                uss_buffer_take      = [int], [long], [byte[]], [int]
                uss_buffer_free      = [int], [long]
                uss_secret_take      = [int], [long], [System.IntPtr], [int]
                uss_debug_counts     = [int], [long[]], [int]
            }
            $library = Get-UssLibraryPath
            if (-not [System.IO.File]::Exists($library)) { throw "there is no $library." }
            $name = [System.Reflection.AssemblyName]::new('Uss.Native')
            $assembly = [System.Reflection.Emit.AssemblyBuilder]::DefineDynamicAssembly($name, 'Run')
            $builder = $assembly.DefineDynamicModule('Uss.Native').DefineType('Uss.Native', 'Public, Abstract, Sealed')
            foreach ($function in $functions.Keys) {
                $result, $parameters = $functions[$function]
                $builder.DefinePInvokeMethod($function, $library, 'Public, Static, PinvokeImpl', 'Standard',
                    $result, $parameters, 'Cdecl', 'Unicode').SetImplementationFlags('PreserveSig')
            }
            $native = $builder.CreateType()
            # PowerShell 7 hides the loader's reason: its own resolver fails first for a dynamic assembly.
            try { $version = $native::uss_abi_version() }
            catch { throw "$library cannot be loaded: it is damaged, or made for another system or processor than this process." }
            if ($version -ne $script:AbiVersion) { throw "$library has interface version $version, and this module needs $script:AbiVersion." }
            $domain.SetData($key, $native)
        }
    }
    finally { [System.Threading.Monitor]::Exit($lock) }
    $script:Native = $native
    $native
}

# ---- Errors

function New-UssError {
    # The error record of the native fields code, category, message, hint, HTTP status, target, server, or of their text.
    param($Fields, $Target)
    if ($Fields -is [string]) { $Fields = $Fields -split [char] 0x1f, 0, 'SimpleMatch' }
    $code, $category, $message, $hint, $status, $about, $server = $Fields
    if ($null -eq $Target) { $Target = $about }
    $record = [System.Management.Automation.ErrorRecord]::new([System.InvalidOperationException]::new($message), $code, $category, $Target)
    $details = [System.Management.Automation.ErrorDetails]::new($message)
    $details.RecommendedAction = $hint
    $record.ErrorDetails = $details
    $data = $record.Exception.Data
    if ($status) { $status = [int] $status } else { $status = $null }
    $data['HttpStatus'] = $status
    $data['Server'] = $server
    $data['Hint'] = $hint
    $record
}

function Stop-UssCmdlet {
    # Ends $Cmdlet with an error of the module's own.
    param($Cmdlet, $Code, $Message, $Hint, $Category = 'InvalidArgument', $Target)
    $Cmdlet.ThrowTerminatingError((New-UssError @($Code, $Category, $Message, $Hint, '', '', '') $Target))
}

function Write-UssFailure {
    # The failure of an operation as a whole. What is wrong with the call itself ends the cmdlet.
    param($Cmdlet, $Text, $Target, [switch] $Fatal)
    $record = New-UssError $Text $Target
    $ending = 'InvalidArgument', 'InvalidVersionQuery', 'InvalidHandle', 'InsecureTransport', 'NotConnected', 'Cancelled'
    if ($Fatal -or $ending -contains $record.FullyQualifiedErrorId) { $Cmdlet.ThrowTerminatingError($record) }
    $Cmdlet.WriteError($record)
}

# ---- Values

function Join-UssField {
    # Names and values as the library reads them: UTF-8, separated by NUL.
    param($Cmdlet, $Fields)
    if ($Fields -like "*`0*") { Stop-UssCmdlet $Cmdlet 'InvalidArgument' 'A value holds the character NUL.' 'Check where the values come from.' }
    , [System.Text.Encoding]::UTF8.GetBytes($Fields -join "`0")
}

function Read-UssText {
    # Takes the text that {id, length} names.
    param($Native, $Out)
    if ($Out[0] -eq 0) { return '' }
    $bytes = [byte[]]::new($Out[1])
    [void] $Native::uss_buffer_take($Out[0], $bytes, $bytes.Length)
    [System.Text.Encoding]::UTF8.GetString($bytes)
}

function Read-UssObject {
    # What PSSerializer made, as plain values: lists as arrays, type names without their prefix.
    param($Value)
    if ($Value -is [System.Collections.ArrayList]) {
        return , @(foreach ($element in $Value) { Read-UssObject $element })
    }
    if ($Value -is [System.Management.Automation.PSCustomObject]) {
        $names = $Value.PSTypeNames
        if ($names[0].StartsWith('Deserialized.')) { $names[0] = $names[0].Substring(13) }
        foreach ($property in $Value.PSObject.Properties) {
            $inner = $property.Value
            if ($inner -is [System.Collections.ArrayList] -or $inner -is [System.Management.Automation.PSCustomObject]) {
                $property.Value = Read-UssObject $inner
            }
        }
    }
    $Value
}

function Read-UssPage {
    # Writes a page's rows: objects to the pipeline, error items as non-terminating errors, in their order.
    param($Cmdlet, $Text, $Destination)
    $rows = [System.Management.Automation.PSSerializer]::Deserialize($Text)
    if ($null -eq $rows) { return }
    $failed = $false
    $objects = @(foreach ($row in $rows) {
            $object = Read-UssObject $row
            if ($object.PSTypeNames[0] -eq 'Uss.Error') { $failed = $true }
            , $object
        })
    # Not in a loop: a `break` downstream would only end the loop.
    if (-not $failed) { return $objects }
    $objects | ForEach-Object {
        if ($_.PSTypeNames[0] -ne 'Uss.Error') { return $_ }
        $target = $null
        if ($Destination) {
            $id, $version = $_.Target -split ' ', 2
            $target = [pscustomobject] @{ Id = $id; Version = $version; Destination = $Destination }
        }
        $Cmdlet.WriteError((New-UssError @($_.Code, $_.Category, $_.Message, $_.Hint, $_.HttpStatus, $_.Target, $_.Server) $target))
    }
}

# ---- Connections

function Open-UssConnection {
    # The id of a new native connection. The secret goes over as unmanaged UTF-16 that is zeroed again, never as a
    # .NET string: Windows hands the strings of every method call to antimalware logging.
    param($Cmdlet, $Fields, $Secret)
    $native = Get-UssNative $Cmdlet
    $out = [long[]] @(0, 0)
    $bytes = Join-UssField $Cmdlet $Fields
    $text = [System.IntPtr]::Zero
    $length = if ($null -ne $Secret) { $Secret.Length } else { 0 }
    try {
        if ($length) { $text = [System.Runtime.InteropServices.Marshal]::SecureStringToGlobalAllocUnicode($Secret) }
        $status = $native::uss_connection_open($bytes, $bytes.Length, $text, $length, $out)
    }
    finally {
        if ($length) { [System.Runtime.InteropServices.Marshal]::ZeroFreeGlobalAllocUnicode($text) }
    }
    if ($status) { $Cmdlet.ThrowTerminatingError((New-UssError (Read-UssText $native $out))) }
    $out[0]
}

function Close-UssConnection {
    # Closes native connections. One that is closed already is no error.
    param($Ids)
    foreach ($id in $Ids) { [void] $script:Native::uss_connection_close($id) }
}

# ---- Operations

function Close-UssOperation {
    # Frees an operation that -Kept kept; 0 is none.
    param($Id)
    if ($Id) { [void] $script:Native::uss_op_free($Id) }
}

function Invoke-UssOperation {
    # Runs one native command from start to end for $Cmdlet: log lines, progress, cancellation, errors, objects.
    # Objects are written when the operation has ended and is freed; with -Stream each as it comes.
    # -Fatal: a failure ends the cmdlet. -Kept: the ended operation's id goes there, and the caller frees it.
    # -Limit: give up silently after so many milliseconds. -Destination: errors are about packages on their way there.
    param($Cmdlet, $Fields, $Activity = 'Waiting for the server', $Destination,
        [switch] $Stream, [switch] $Fatal, $Kept, $Limit)
    $native = Get-UssNative $Cmdlet
    $out = [long[]] @(0, 0)
    $bytes = Join-UssField $Cmdlet $Fields
    if ($native::uss_op_start($bytes, $bytes.Length, $out)) {
        return Write-UssFailure $Cmdlet (Read-UssText $native $out) -Fatal:$Fatal
    }
    $operation = $out[0]
    $progress = [long[]]::new(30)
    $display = @{ Labels = @{}; Slots = [long[]]::new(8); Shown = $false; Activity = $Activity }
    $pages = @()
    $slice = if ($Limit) { $Limit } else { 200 }
    $slices = 0
    $free = $true
    $writing = $again = $false
    try {
        do {
            # True after a `continue` downstream, which came out here.
            if ($writing) { $again = $true; break }
            $status = $native::uss_op_wait($operation, $slice, $progress, 30, $out)
            if ($status -eq 1) {
                # A whole slice has passed: at most five progress records a second, the first after one second.
                if ($Limit) { break }
                $slices++
            }
            if ($native::uss_log_drain($operation, $out) -eq 0 -and $out[0]) { Write-UssLog $Cmdlet (Read-UssText $native $out) $display.Labels }
            if ($status -eq 1) {
                if ($slices -ge 5) { Write-UssProgress $Cmdlet $progress $display }
            }
            elseif ($status -eq 0) {
                $status = $native::uss_op_take_result($operation, $out)
                if ($status -ge 0) {
                    $page = Read-UssText $native $out
                    if ($Stream) { $writing = $true; Read-UssPage $Cmdlet $page $Destination; $writing = $false }
                    else { $pages += $page }
                }
            }
        } while ($writing -or $status -eq 1)
        if ($status -lt 0) { $failure = Read-UssText $native $out }
        elseif ($null -ne $Kept) { $Kept[0] = $operation; $free = $false }
    }
    finally {
        if ($free) {
            [void] $native::uss_op_cancel($operation)
            [void] $native::uss_op_free($operation)
        }
        # What a stop came in front of: a buffer that is not taken yet.
        [void] $native::uss_buffer_free($out[0])
        if ($display.Shown) { Complete-UssProgress $Cmdlet $display }
    }
    # A `break` or `continue` downstream ended the loop above: pass it on to the loop that it was meant for.
    if ($again) { continue }
    if ($writing) { break }
    if ($status -lt 0) {
        foreach ($page in $pages) { Read-UssPage $Cmdlet $page $Destination }
        return Write-UssFailure $Cmdlet $failure -Fatal:$Fatal
    }
    if ($pages.Length -eq 1) { return Read-UssPage $Cmdlet $pages[0] $Destination }
    $pages | ForEach-Object { Read-UssPage $Cmdlet $_ $Destination }
}

function Write-UssLog {
    # Writes log records as verbose, debug and warning lines, and learns the transfers' names.
    param($Cmdlet, $Text, $Labels)
    foreach ($line in $Text -split [char] 0x1e, 0, 'SimpleMatch') {
        $level, $first, $second = $line -split [char] 0x1f, 0, 'SimpleMatch'
        switch ($level) {
            'V' { $Cmdlet.WriteVerbose($first) }
            'D' { $Cmdlet.WriteDebug($first) }
            'W' { $Cmdlet.WriteWarning($first) }
            'N' { $Labels[$first] = $second }
        }
    }
}

# ---- Progress: phase, items done and total, bytes done and total, bytes per second, then (id, done, total) of transfers

function Write-UssProgress {
    # Record 80600 for the whole, 80601 to 80608 for the running transfers; a transfer keeps its record while it runs.
    param($Cmdlet, $Progress, $Display)
    $Display.Shown = $true
    $phase, $items, $allItems, $done, $total, $rate, $null = $Progress
    $status = switch ($phase) {
        0 { 'Starting' }
        1 { 'Planning' }
        default {
            "$items of $allItems, $(Format-UssSize $done) of $(Format-UssSize $total)"
            if ($rate) { ", $(Format-UssSize $rate)/s" }
        }
    }
    $record = New-UssProgress 0 $Display.Activity (-join $status) $done $total
    if ($rate -gt 0 -and $total -gt $done) { $record.SecondsRemaining = [System.Math]::Min([int]::MaxValue, [System.Math]::Ceiling(($total - $done) / $rate)) }
    $Cmdlet.WriteProgress($record)

    $running = @(for ($at = 6; $at -lt 30; $at += 3) { if ($Progress[$at]) { $Progress[$at] } })
    for ($slot = 0; $slot -lt 8; $slot++) {
        if ($Display.Slots[$slot] -and $running -notcontains $Display.Slots[$slot]) { Complete-UssTransfer $Cmdlet $Display $slot }
    }
    for ($at = 6; $at -lt 30; $at += 3) {
        $id, $done, $total = $Progress[$at..($at + 2)]
        if (-not $id) { continue }
        $slot = [array]::IndexOf($Display.Slots, $id)
        if ($slot -lt 0) { $slot = [array]::IndexOf($Display.Slots, [long] 0) }
        $Display.Slots[$slot] = $id
        $record = New-UssProgress ($slot + 1) $Display.Labels["$id"] "$(Format-UssSize $done) of $(Format-UssSize $total)" $done $total
        $Cmdlet.WriteProgress($record)
    }
}

function Complete-UssProgress {
    # Takes every shown record off the display.
    param($Cmdlet, $Display)
    try {
        for ($slot = 0; $slot -lt 8; $slot++) {
            if ($Display.Slots[$slot]) { Complete-UssTransfer $Cmdlet $Display $slot }
        }
        $record = New-UssProgress 0 $Display.Activity 'Done' 0 0
        $record.RecordType = 'Completed'
        $Cmdlet.WriteProgress($record)
    }
    catch [System.Management.Automation.PipelineStoppedException] {
        # After Ctrl-C nothing can be written; the host clears its display itself.
        return
    }
}

function Complete-UssTransfer {
    param($Cmdlet, $Display, $Slot)
    $record = New-UssProgress ($Slot + 1) $Display.Labels["$($Display.Slots[$Slot])"] 'Done' 0 0
    $record.RecordType = 'Completed'
    $Cmdlet.WriteProgress($record)
    $Display.Slots[$Slot] = 0
}

function New-UssProgress {
    param($Slot, $Activity, $Status, $Done, $Total)
    if (-not $Activity) { $Activity = 'Transfer' }
    $record = [System.Management.Automation.ProgressRecord]::new(80600 + $Slot, $Activity, $Status)
    if ($Slot) { $record.ParentActivityId = 80600 }
    if ($Total -gt 0) { $record.PercentComplete = [System.Math]::Min(100, [System.Math]::Floor(100 * $Done / $Total)) }
    $record
}

function Format-UssSize {
    # 812 MB: three digits are enough for a person.
    param([double] $Bytes)
    $unit = 0
    while ($Bytes -ge 999.5 -and $unit -lt 4) { $Bytes /= 1000; $unit++ }
    $digits = if ($unit -and $Bytes -lt 9.95) { 'N1' } else { 'N0' }
    "$($Bytes.ToString($digits)) $(('B', 'KB', 'MB', 'GB', 'TB')[$unit])"
}
