# Runs operations of the native library: log lines, progress, cancellation, objects and errors. Loaded with the first
# operation: what a call needs before it is in Native.psm1.
Set-StrictMode -Version Latest
Import-Module "$PSScriptRoot/Native.psm1" -Verbose:$false

# The native functions; every operation asks for them.
$script:Native = $null
# Refuses what is no text.
$script:Utf8 = [System.Text.UTF8Encoding]::new($false, $true)

function Close-UssOperation {
    # Frees an operation that -Kept kept; 0 is none.
    param($Id)
    if ($Id) { [void] (Get-UssNative)::uss_op_free($Id) }
}

function Invoke-UssOperation {
    # Runs $Command for $Cmdlet with its $Bound parameters from start to end: log lines, progress, cancellation, errors,
    # objects. Objects are written when the operation has ended and is freed; with -Stream each as it comes.
    # -Fatal: a failure ends the cmdlet. -Kept: the ended operation's id goes there, and the caller frees it.
    # -Limit: give up silently after so many milliseconds. -Destination: errors are about packages on their way to these.
    # A call of a function costs a tenth of a look-up: what every operation does stands here.
    param($Cmdlet, $Bound, $Command, $Fields, $Activity = 'Waiting for the server', $Destination,
        [switch] $Stream, [switch] $Fatal, $Kept, $Limit)
    if ($null -eq $script:Native) { $script:Native = Get-UssNative $Cmdlet }
    $native = $script:Native
    $Fields = @('command', $Command) + $Fields
    # The preferences of the script that calls, as a compiled cmdlet follows them: this module sees global ones alone.
    # What is written from here reads them where it is written.
    $caller = $Cmdlet.SessionState.PSVariable
    $DebugPreference = $caller.GetValue('DebugPreference')
    $VerbosePreference = $caller.GetValue('VerbosePreference')
    if ($Bound['Debug'] -or (-not $Bound.ContainsKey('Debug') -and $DebugPreference -ne 'SilentlyContinue')) { $Fields += 'log', 'debug' }
    elseif ($Bound['Verbose'] -or (-not $Bound.ContainsKey('Verbose') -and $VerbosePreference -ne 'SilentlyContinue')) { $Fields += 'log', 'verbose' }
    $out = [long[]] @(0, 0)
    # What Join-UssField does, which has the errors.
    $text = $Fields -join "`0"
    $plain = $text.Split([char] 0).Length -eq $Fields.Length
    try { $bytes = $script:Utf8.GetBytes($text) } catch { $plain = $false }
    if (-not $plain) { $bytes = Join-UssField $Cmdlet $Fields }
    if ($native::uss_op_start($bytes, $bytes.Length, $out)) {
        return Write-UssFailure $Cmdlet (Read-UssText $native $out) -Fatal:$Fatal
    }
    $operation = $out[0]
    $progress = [long[]]::new(30)
    $display = @{ Labels = @{}; Slots = [long[]]::new(8); Shown = $false; Activity = $Activity }
    $pages = @()
    $slice = if ($Limit) { $Limit } else { 200 }
    $watch = $null
    $free = $true
    $writing = $again = $false
    try {
        do {
            # True after a `continue` downstream, which came out here.
            if ($writing) { $again = $true; break }
            $status = $native::uss_op_wait($operation, $slice, $progress, 30, $out)
            # A whole slice has passed.
            if ($status -eq 1 -and $Limit) { break }
            if ($native::uss_log_drain($operation, $out) -eq 0 -and $out[0]) { Write-UssLog $Cmdlet (Read-UssText $native $out) $display.Labels }
            if ($status -eq 1 -or $Stream) {
                # Progress after one second and then every 400 ms, however often rows come meanwhile.
                if ($null -eq $watch) {
                    $watch = [System.Diagnostics.Stopwatch]::StartNew()
                    $due = 1000
                }
                $now = $watch.ElapsedMilliseconds
                if ($now -ge $due) {
                    $due = $now + 400
                    $ProgressPreference = $caller.GetValue('ProgressPreference')
                    Write-UssProgress $Cmdlet $progress $display
                }
            }
            if ($status -eq 0) {
                $status = $native::uss_op_take_result($operation, $out)
                if ($status -ge 0) {
                    $bytes = [byte[]]::new($out[1])
                    [void] $native::uss_buffer_take($out[0], $bytes, $bytes.Length)
                    $page = $script:Utf8.GetString($bytes)
                    if ($Stream) { $writing = $true; Read-UssPage $Cmdlet $page $Destination; $writing = $false }
                    else { $pages += $page }
                }
            }
        } while ($writing -or $status -eq 1)
        if ($status -lt 0) { $failure = Read-UssText $native $out }
        elseif ($null -ne $Kept) { $Kept[0] = $operation; $free = $false }
    }
    finally {
        if ($free) { [void] $native::uss_op_free($operation) }
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
    $WarningPreference = $Cmdlet.SessionState.PSVariable.GetValue('WarningPreference')
    foreach ($line in $Text.Split([char] 30)) {
        $level, $first, $second = $line.Split([char] 31)
        switch ($level) {
            'V' { $Cmdlet.WriteVerbose($first) }
            'D' { $Cmdlet.WriteDebug($first) }
            'W' { $Cmdlet.WriteWarning($first) }
            'N' { $Labels[$first] = $second }
        }
    }
}

function Write-UssFailure {
    # The failure of an operation as a whole. What is wrong with the call itself ends the cmdlet.
    param($Cmdlet, $Text, $Target, [switch] $Fatal)
    $record = New-UssError $Text.Split([char] 31) $Target
    $ending = 'InvalidArgument', 'InvalidVersionQuery', 'InvalidHandle', 'InsecureTransport', 'NotConnected', 'Cancelled'
    if ($Fatal -or $ending -contains $record.FullyQualifiedErrorId) { $Cmdlet.ThrowTerminatingError($record) }
    $ErrorActionPreference = $Cmdlet.SessionState.PSVariable.GetValue('ErrorActionPreference')
    $Cmdlet.WriteError($record)
}

# ---- Values

function Read-UssObject {
    # What PSSerializer made, as plain values: lists as arrays, type names without their prefix. -Names are the properties
    # that may hold lists or objects; without them all are looked into.
    param($Value, $Names)
    if ($Value -is [System.Collections.ArrayList]) {
        return , @(foreach ($element in $Value) { Read-UssObject $element $Names })
    }
    if ($Value -is [System.Management.Automation.PSCustomObject]) {
        $types = $Value.PSTypeNames
        if ($types[0].StartsWith('Deserialized.')) { $types[0] = $types[0].Substring(13) }
        $all = $Value.PSObject.Properties
        foreach ($property in $(if ($null -eq $Names) { $all } else { foreach ($name in $Names) { if ($all[$name]) { $all[$name] } } })) {
            $inner = $property.Value
            # An empty list is most of them, and has nothing to look into.
            if ($inner -is [System.Collections.ArrayList]) {
                $property.Value = if ($inner.Count) { Read-UssObject $inner $Names } else { , @() }
            }
            elseif ($inner -is [System.Management.Automation.PSCustomObject]) { $property.Value = Read-UssObject $inner $Names }
        }
    }
    $Value
}

function Read-UssPage {
    # Writes a page's rows: objects to the pipeline, error items as non-terminating errors, in their order.
    param($Cmdlet, $Text, $Destination)
    $rows = [System.Management.Automation.PSSerializer]::Deserialize($Text)
    if ($null -eq $rows) { return }
    # The properties that hold lists or objects: to look into all of a thousand rows takes far longer than to look into
    # their text. $null where a name is written with escapes: then all are looked into.
    $nested = @{}
    foreach ($match in [regex]::Matches($Text, '<Obj N="([^"]*)"')) { $nested[$match.Groups[1].Value] = $true }
    $nested = @($nested.Keys)
    foreach ($name in $nested) { if ($name.IndexOfAny('&_') -ge 0) { $nested = $null } }
    $failed = $false
    $objects = @(foreach ($row in $rows) {
            if ($null -eq $nested -or $row -isnot [System.Management.Automation.PSCustomObject]) { $row = Read-UssObject $row $nested }
            else {
                # As Read-UssObject would: a call of it for each row takes longer than all else.
                $types = $row.PSTypeNames
                if ($types[0].StartsWith('Deserialized.')) { $types[0] = $types[0].Substring(13) }
                foreach ($name in $nested) {
                    $property = $row.PSObject.Properties[$name]
                    if ($null -eq $property) { continue }
                    # An empty list is most of them.
                    $empty = $property.Value -is [System.Collections.ArrayList] -and $property.Value.Count -eq 0
                    $property.Value = if ($empty) { , @() } else { Read-UssObject $property.Value $nested }
                }
            }
            if ($row.PSTypeNames[0] -eq 'Uss.Error') { $failed = $true }
            , $row
        })
    # Not in a loop: a `break` downstream would only end the loop.
    if (-not $failed) { return $objects }
    $ErrorActionPreference = $Cmdlet.SessionState.PSVariable.GetValue('ErrorActionPreference')
    $objects | ForEach-Object {
        if ($_.PSTypeNames[0] -ne 'Uss.Error') { return $_ }
        $target = $null
        if ($Destination) {
            $id, $version = $_.Target -split ' ', 2
            # Of several, the one that failed; all of them where the source did.
            $where = if ($Destination -contains $_.Server) { $_.Server } else { $Destination }
            $target = [pscustomobject] @{ Id = $id; Version = $version; Destination = $where }
        }
        $Cmdlet.WriteError((New-UssError @($_.Code, $_.Category, $_.Message, $_.Hint, $_.HttpStatus, $_.Target, $_.Server) $target))
    }
}

# ---- Progress: phase, items done and total, bytes done and total, bytes per second, then (id, done, total) of transfers

function Write-UssProgress {
    # Record 80600 for the whole, 80601 to 80608 for the running transfers; a transfer keeps its record while it runs.
    # A call of a function leaves 10 to 40 kB to the garbage collector, which waits until it is as much as the processor
    # has cache, and this may run for hours: what it does stands here.
    param($Cmdlet, $Progress, $Display)
    $Display.Shown = $true
    $phase, $items, $allItems, $done, $total, $rate, $null = $Progress
    # Bytes as people read them, three digits, in the same writing for everybody, as plans and errors have them; in
    # the order of $Progress: done, total, rate, then id, done and total of each transfer.
    $sizes = @($null) * 30
    for ($at = 3; $at -lt 30; $at++) {
        if ($at -ge 6 -and ($at % 3 -eq 0 -or -not $Progress[$at - $at % 3])) { continue }
        $size = [double] $Progress[$at]
        $unit = 0
        while ($size -ge 999.5 -and $unit -lt 4) { $size /= 1000; $unit++ }
        $digits = if ($unit -and $size -lt 9.95) { 'N1' } else { 'N0' }
        $sizes[$at] = $size.ToString($digits, [cultureinfo]::InvariantCulture) + (' B', ' kB', ' MB', ' GB', ' TB')[$unit]
    }
    $status = switch ($phase) {
        0 { 'Starting' }
        1 { 'Planning' }
        3 { 'Verifying' }
        default {
            "$items of $allItems, $($sizes[3]) of $($sizes[4])"
            if ($rate) { ", $($sizes[5])/s" }
        }
    }
    $record = [System.Management.Automation.ProgressRecord]::new(80600, $Display.Activity, -join $status)
    if ($total -gt 0) { $record.PercentComplete = [System.Math]::Min(100, [System.Math]::Floor(100 * $done / $total)) }
    if ($rate -gt 0 -and $total -gt $done) { $record.SecondsRemaining = [System.Math]::Min([int]::MaxValue, [System.Math]::Ceiling(($total - $done) / $rate)) }
    $Cmdlet.WriteProgress($record)

    for ($slot = 0; $slot -lt 8; $slot++) {
        if (-not $Display.Slots[$slot]) { continue }
        for ($at = 6; $at -lt 30 -and $Progress[$at] -ne $Display.Slots[$slot]; $at += 3) { continue }
        if ($at -ge 30) { Complete-UssTransfer $Cmdlet $Display $slot }
    }
    for ($at = 6; $at -lt 30; $at += 3) {
        $id = $Progress[$at]
        if (-not $id) { continue }
        $slot = [array]::IndexOf($Display.Slots, $id)
        if ($slot -lt 0) { $slot = [array]::IndexOf($Display.Slots, [long] 0) }
        $Display.Slots[$slot] = $id
        $label = $Display.Labels["$id"]
        if (-not $label) { $label = 'Transfer' }
        $record = [System.Management.Automation.ProgressRecord]::new(80601 + $slot, $label, "$($sizes[$at + 1]) of $($sizes[$at + 2])")
        $record.ParentActivityId = 80600
        $total = $Progress[$at + 2]
        if ($total -gt 0) { $record.PercentComplete = [System.Math]::Min(100, [System.Math]::Floor(100 * $Progress[$at + 1] / $total)) }
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
        $record = [System.Management.Automation.ProgressRecord]::new(80600, $Display.Activity, 'Done')
        $record.RecordType = 'Completed'
        $Cmdlet.WriteProgress($record)
    }
    catch [System.Management.Automation.PipelineStoppedException] {
        # After Ctrl-C nothing can be written; the host clears its display itself.
        return
    }
}

function Complete-UssTransfer {
    # Takes a transfer's record off the display.
    param($Cmdlet, $Display, $Slot)
    $label = $Display.Labels["$($Display.Slots[$Slot])"]
    if (-not $label) { $label = 'Transfer' }
    $record = [System.Management.Automation.ProgressRecord]::new(80601 + $Slot, $label, 'Done')
    $record.ParentActivityId = 80600
    $record.RecordType = 'Completed'
    $Cmdlet.WriteProgress($record)
    $Display.Slots[$Slot] = 0
}
