# The native library for the modules Uss and Vap: finds and loads it, opens connections, makes errors. Operation.psm1
# runs operations. The interface is described in include/uss.h. Nothing here knows a command.
#
# The first call in a process pays for every line that is read, and a millisecond or more for every distinct .NET call on
# its way. So this file holds what each first call needs and no more, its calls are few, and import makes nothing.
Set-StrictMode -Version Latest

$script:AbiVersion = 1
$script:LibraryVersion = '0.1.0'
$script:Native = $null

function Get-UssLibraryPath {
    # native/<rid>/<file> beside this module.
    $files = @{
        'linux-x64' = '/native/linux-x64/libuss.so'; 'linux-arm64' = '/native/linux-arm64/libuss.so'
        'linux-musl-x64' = '/native/linux-musl-x64/libuss.so'; 'linux-musl-arm64' = '/native/linux-musl-arm64/libuss.so'
        'osx-x64' = '/native/osx-x64/libuss.dylib'; 'osx-arm64' = '/native/osx-arm64/libuss.dylib'
        'win-x64' = '\native\win-x64\uss.dll'; 'win-arm64' = '\native\win-arm64\uss.dll'
    }
    if ($PSEdition -eq 'Core') { $rid = [System.Runtime.InteropServices.RuntimeInformation]::RuntimeIdentifier } else { $rid = 'win' }
    $file = $files[$rid]
    if ($null -eq $file) {
        # Windows PowerShell, or a .NET that a Linux distribution built and named after itself.
        $system = if ($rid -like 'win*') { 'win' } elseif ($rid -like 'alpine*') { 'linux-musl' } else { 'linux' }
        $file = $files["$system-$([System.Runtime.InteropServices.RuntimeInformation]::ProcessArchitecture)"]
    }
    "$PSScriptRoot$file"
}

function Get-UssNative {
    # The type whose static methods are the native functions, or one clear terminating error in the cmdlet's name.
    param($Cmdlet)
    if ($null -eq $script:Native) {
        try { $script:Native = New-UssNative }
        catch {
            Import-Module "$PSScriptRoot/LibraryFault.psm1" -Verbose:$false
            $library = Get-UssLibraryPath
            $cause, $hint = Get-UssLibraryFault $library $_.Exception.GetBaseException()
            Stop-UssCmdlet $Cmdlet 'NativeLibraryUnavailable' "The module's native library cannot be used: $cause" $hint 'ResourceUnavailable' $library
        }
    }
    $script:Native
}

function New-UssNative {
    # Makes the type, once a process. Uss and Vap of one version share it: the first module's file is loaded, the other
    # reuses it.
    $key = "Uss.Native $script:AbiVersion $script:LibraryVersion"
    $domain = [System.AppDomain]::CurrentDomain
    [System.Threading.Monitor]::Enter($domain)
    try {
        $native = $domain.GetData($key)
        if ($null -eq $native) {
            # Each returns an int. [long[]] is a uss_out {id, length}, or an array of uint64_t.
            $functions = @{
                uss_abi_version      = @()
                uss_connection_open  = [byte[]], [int], [System.IntPtr], [int], [long[]]
                uss_connection_close = , [long]
                uss_op_start         = [byte[]], [int], [long[]]
                uss_op_wait          = [long], [int], [long[]], [int], [long[]]
                uss_op_cancel        = , [long]
                uss_op_take_result   = [long], [long[]]
                uss_op_free          = , [long]
                uss_log_drain        = [long], [long[]]
                uss_buffer_take      = [long], [byte[]], [int]
                uss_buffer_free      = , [long]
                uss_secret_take      = [long], [System.IntPtr], [int]
                uss_debug_counts     = [long[]], [int]
            }
            $library = Get-UssLibraryPath
            $assembly = [System.Reflection.Emit.AssemblyBuilder]::DefineDynamicAssembly('Uss.Native', 'Run')
            $builder = $assembly.DefineDynamicModule('Uss.Native').DefineType('Uss.Native', 'Public')
            foreach ($function in $functions.Keys) {
                $builder.DefinePInvokeMethod($function, $library, 'Public, Static, PinvokeImpl', 'Standard',
                    [int], $functions[$function], 'Cdecl', 'Unicode').SetImplementationFlags('PreserveSig')
            }
            $native = $builder.CreateType()
            $version = $native::uss_abi_version()
            if ($version -ne $script:AbiVersion) {
                $age = if ($version -lt $script:AbiVersion) { 'older' } else { 'newer' }
                throw "$library is $age than this module: it has interface version $version, and this module needs $script:AbiVersion."
            }
            $domain.SetData($key, $native)
        }
        $native
    }
    finally { [System.Threading.Monitor]::Exit($domain) }
}

# ---- Errors

function New-UssError {
    # The error record of the native fields code, category, message, hint, HTTP status, target, server.
    param($Fields, $Target)
    $code, $category, $message, $hint, $status, $about, $server = $Fields
    if ($null -eq $Target) { $Target = $about }
    $exception = [System.InvalidOperationException]::new($message)
    $data = $exception.Data
    $data['HttpStatus'] = if ($status) { [int] $status }
    $data['Server'] = $server
    $data['Hint'] = $hint
    $record = [System.Management.Automation.ErrorRecord]::new($exception, $code, $category, $Target)
    $details = [System.Management.Automation.ErrorDetails]::new($message)
    $details.RecommendedAction = $hint
    $record.ErrorDetails = $details
    $record
}

function Stop-UssCmdlet {
    # Ends $Cmdlet with an error of the module's own.
    param($Cmdlet, $Code, $Message, $Hint, $Category = 'InvalidArgument', $Target)
    $Cmdlet.ThrowTerminatingError((New-UssError @($Code, $Category, $Message, $Hint, '', '', '') $Target))
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
    if ($status) {
        $failure = (Read-UssText $native $out).Split([char] 31)
        if ($failure[5] -eq 'tokenVariable') {
            # Only whether .NET has it: its value stays where it is.
            $variable = $Fields[[array]::IndexOf($Fields, 'tokenVariable') + 1]
            if ($Cmdlet.InvokeProvider.Item.Exists("Env:$variable")) {
                $failure[2] = "$variable is set inside this PowerShell alone: the process's own environment, where a token is read, does not have it."
            }
        }
        $Cmdlet.ThrowTerminatingError((New-UssError $failure))
    }
    $out[0]
}

function Close-UssConnection {
    # Closes native connections. One that is closed already is no error.
    param($Ids)
    foreach ($id in $Ids) { [void] $script:Native::uss_connection_close($id) }
}

function Get-UssOrigin {
    # Scheme, host and port of an address; nothing for one that two readers could understand differently, so that no
    # secret is matched with it. Cases are spelled out: ignoring case goes by the culture, and in Turkish I is not i.
    param($Server)
    if ("$Server" -cnotmatch '^\s*((?<scheme>[Hh][Tt][Tt][Pp][Ss]?)://)?(?<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?<port>[0-9]{1,5}))?(/|\s*$)') { return }
    $scheme = if ($Matches.ContainsKey('scheme')) { $Matches.scheme } else { 'https' }
    $port = if ($Matches.ContainsKey('port')) { [int] $Matches.port } elseif ($scheme -eq 'http') { 80 } else { 443 }
    "${scheme}://$($Matches.host):$port"
}

# ---- Values

function Join-UssField {
    # Names and values as the library reads them: UTF-8, separated by NUL.
    param($Cmdlet, $Fields)
    $text = $Fields -join "`0"
    if ($text.Split([char] 0).Length -ne $Fields.Length) { Stop-UssField $Cmdlet 'the character NUL' }
    # What is no text is refused: a name must not go over as another one.
    try { , [System.Text.UTF8Encoding]::new($false, $true).GetBytes($text) }
    catch { Stop-UssField $Cmdlet 'half of a surrogate pair, which is no Unicode text' }
}

function Stop-UssField {
    param($Cmdlet, $What)
    Stop-UssCmdlet $Cmdlet 'InvalidArgument' "A value holds $What." 'Check where the values come from.'
}

function Read-UssText {
    # Takes the text that {id, length} names.
    param($Native, $Out)
    if ($Out[0] -eq 0) { return '' }
    $bytes = [byte[]]::new($Out[1])
    [void] $Native::uss_buffer_take($Out[0], $bytes, $bytes.Length)
    [System.Text.Encoding]::UTF8.GetString($bytes)
}
