# Why the native library cannot be used, and what to do: read only once it has failed. PowerShell 7 hides the system
# loader's reason, so it is looked for in the file itself.
Set-StrictMode -Version Latest

function Get-UssLibraryFault {
    # The cause, as the end of a sentence, and the hint. $Exception is what using $Library, the path, came to.
    param($Library, $Exception)
    $process = [System.Runtime.InteropServices.RuntimeInformation]::ProcessArchitecture
    $again = 'Install the module again, for this system and processor.'
    if ($Library -eq $PSScriptRoot) { return "the module has none for $process processes.", 'Use a 64-bit PowerShell, on a processor that the module is made for.' }
    if (-not [System.IO.File]::Exists($Library)) { return "there is no $Library.", $again }
    if ($Exception -is [System.Management.Automation.RuntimeException]) { return $Exception.Message, 'Install the module again, all of its files together, and start a new PowerShell.' }
    if ($Exception -is [System.EntryPointNotFoundException]) { return "$Library is older than this module, or another library.", $again }

    $system = if ($Library -like '*.dll') { 'Windows' } elseif ($Library -like '*.so') { 'Linux' } else { 'macOS' }
    try { $made = Read-UssLibraryKind $Library }
    catch { return "$Library cannot be read: $($_.Exception.GetBaseException().Message)", "Give this user the right to read the module's folder." }
    if (-not $made) { return "$Library cannot be loaded: it is damaged.", $again }
    if ($made -ne "$system $process") { return "$Library cannot be loaded: it is made for $made, and this process is $system $process.", $again }
    if ([System.IO.File]::Exists("${Library}:Zone.Identifier")) {
        return "$Library cannot be loaded: it was downloaded, and is blocked by the mark of the web.", "Unblock the module's files: Get-ChildItem '$PSScriptRoot' -Recurse | Unblock-File"
    }
    "$Library cannot be loaded, though it is made for $made.", 'Install the module again. If that does not help: ask whether an application control policy or antivirus program blocks it, and on Linux whether glibc is older than 2.28.'
}

function Read-UssLibraryKind {
    # The system and processor that a library is made for, such as "Linux X64"; empty where the file is none.
    # ELF has the processor at 18, PE four bytes after where the number at 60 points, Mach-O at 4.
    param($Library)
    $bytes = [byte[]]::new(4096)
    $stream = [System.IO.File]::OpenRead($Library)
    try { $length = $stream.Read($bytes, 0, 4096) } finally { $stream.Dispose() }
    if ($length -lt 64) { return '' }
    switch ([System.BitConverter]::ToUInt32($bytes, 0)) {
        0x464C457F { $system = 'Linux'; $machine = [System.BitConverter]::ToUInt16($bytes, 18); break }
        4277009103 { $system = 'macOS'; $machine = [System.BitConverter]::ToUInt16($bytes, 4); break }
        default {
            $at = [System.BitConverter]::ToInt32($bytes, 60)
            if ($bytes[0] -ne 0x4D -or $bytes[1] -ne 0x5A -or $at -lt 0 -or $at -gt 4000) { return '' }
            $system = 'Windows'
            $machine = [System.BitConverter]::ToUInt16($bytes, $at + 4)
        }
    }
    $processors = @{
        'Linux 62' = 'X64'; 'Linux 183' = 'Arm64'; 'Linux 3' = 'X86'; 'Linux 40' = 'Arm'; 'macOS 7' = 'X64'; 'macOS 12' = 'Arm64'
        'Windows 34404' = 'X64'; 'Windows 43620' = 'Arm64'; 'Windows 332' = 'X86'
    }
    $processor = $processors["$system $machine"]
    if ($processor) { "$system $processor" } else { "$system on another processor" }
}
