# Servers for the tests: starts uss-server processes on loopback with a user and a token each, and stops them again.
# USS_TEST_MODULE is the staged module's folder, USS_TEST_SERVER the server's program, or USS_TEST_BRIDGE the address that
# runs it, for a Windows that cannot start it (xtask/src/windows/bridge.rs); `cargo xtask test` sets them.
Set-StrictMode -Version Latest

function Invoke-UssServerProgram {
    # Runs a command of uss-server, with the pipeline as its input, and returns what it prints.
    if ($env:USS_TEST_BRIDGE) {
        $bridge = Open-UssTestBridge $args "$($input -join "`n")`n"
        $bridge.Client.Dispose()
        $code = $bridge.Answer.code
        $output = $bridge.Answer.output.TrimEnd().Split([char] 10)
    }
    else {
        $output = $input | & $env:USS_TEST_SERVER @args
        $code = $LASTEXITCODE
    }
    if ($code -ne 0) { throw "uss-server $($args -join ' ') ended with $code" }
    $output
}

function Open-UssTestBridge {
    # A connection to the bridge that has one command there, and the bridge's answer to it.
    param([string[]] $Arguments, [string] $Text)
    $place, $port = $env:USS_TEST_BRIDGE.Split([char] ':')
    $client = [System.Net.Sockets.TcpClient]::new($place, $port)
    $request = ConvertTo-Json @{ arguments = $Arguments; input = $Text; log = $env:USS_SERVER_LOG } -Compress
    $bytes = [System.Text.Encoding]::UTF8.GetBytes("$request`n")
    $client.GetStream().Write($bytes, 0, $bytes.Length)
    $reader = [System.IO.StreamReader]::new($client.GetStream())
    @{ Client = $client; Answer = ConvertFrom-Json $reader.ReadLine(); Reader = $reader }
}

function Start-UssServeProgram {
    # A running `uss-server serve`: its first line, its process (or what stands for it here), and its log, read to the end.
    param([string[]] $Arguments)
    if ($env:USS_TEST_BRIDGE) {
        $bridge = Open-UssTestBridge $Arguments
        # The server lives as long as this side of the connection.
        $process = [pscustomobject] @{ HasExited = $false; Client = $bridge.Client; Log = $bridge.Reader.ReadToEndAsync() }
        $process | Add-Member ScriptMethod Kill { $this.Client.Client.Shutdown('Send'); $this.HasExited = $true }
        $process | Add-Member ScriptMethod WaitForExit { $this.Log.Wait() }
        return [pscustomobject] @{ Line = $bridge.Answer.output.Trim(); Process = $process; Log = $process.Log }
    }
    $start = [System.Diagnostics.ProcessStartInfo]::new($env:USS_TEST_SERVER)
    foreach ($argument in $Arguments) { $start.ArgumentList.Add($argument) }
    $start.RedirectStandardOutput = $start.RedirectStandardError = $true
    $process = [System.Diagnostics.Process]::Start($start)
    $line = $process.StandardOutput.ReadLine()
    [pscustomobject] @{ Line = $line; Process = $process; Log = $process.StandardError.ReadToEndAsync() }
}

function Start-UssTestServer {
    # A server with the administrator $User, who signs in with a token that holds '/' and '+' as well as '=', or as a
    # person with a password.
    param([Parameter(Mandatory)] [string] $Folder, [Parameter(Mandatory)] [string] $User, [string[]] $Arguments = @())
    $data = Join-Path $Folder "data-$User"
    $password = Add-UssTestUser $data $User -Admin
    foreach ($try in 1..50) {
        $token = Invoke-UssServerProgram token create --user $User --name "test $try" --data $data
        if ($token.Contains('/') -and $token.Contains('+')) { break }
    }
    $serving = Start-UssServeProgram (@('serve', '--listen', '127.0.0.1:0', '--data', $data) + $Arguments)
    if ($serving.Line -notmatch '^listening on (?<url>\S+)$') { throw "uss-server said '$($serving.Line)' instead of where it listens" }
    [pscustomobject] @{
        Url = $Matches.url; Data = $data; User = $User; Token = $token; Process = $serving.Process
        Credential = New-UssTestCredential $User $token
        Password = $password; Person = New-UssTestCredential $User $password
        Log = $serving.Log
    }
}

function Add-UssTestUser {
    # Adds a user and returns the password.
    param([string] $Data, [string] $User, [switch] $Admin)
    $random = [byte[]]::new(24)
    [System.Security.Cryptography.RandomNumberGenerator]::Fill($random)
    $password = "p `"/+{$([System.Convert]::ToBase64String($random))"
    $rights = @(if ($Admin) { '--admin' })
    $password | Invoke-UssServerProgram user add $User --email "$User@example.com" --password-stdin @rights --data $Data | Out-Null
    $password
}

function Stop-UssTestServer {
    process {
        if ($null -ne $_ -and -not $_.Process.HasExited) {
            $_.Process.Kill()
            $_.Process.WaitForExit()
        }
    }
}

function New-UssTestCredential {
    param([string] $User, [string] $Token)
    $secret = if ($Token) { ConvertTo-SecureString $Token -AsPlainText -Force } else { [securestring]::new() }
    New-Object System.Management.Automation.PSCredential $User, $secret
}

function Add-UssTestPackage {
    # Makes a package of $Size bytes and publishes it on a server.
    param($Server, [string] $Id, [string] $Version, [string[]] $Dependency = @(), [long] $Size = 1000)
    $file = Join-Path (Split-Path $Server.Data) "$($Id.Replace('/', '-'))-$Version.zip"
    $needs = @(foreach ($one in $Dependency) { '--dependency'; $one })
    Invoke-UssServerProgram package make --id $Id --version $Version @needs --size $Size --out $file | Out-Null
    Invoke-UssServerProgram package add $file --data $Server.Data | Out-Null
    $file
}

function Add-UssTestFault {
    # A failure that the server's next matching request meets; see server/src/faults.rs.
    param($Server, [hashtable] $Rule)
    Invoke-RestMethod -Uri "$($Server.Url)/faults" -Method Post -Body (ConvertTo-Json $Rule -Depth 5) -ContentType 'application/json' | Out-Null
}

function Clear-UssTestFault {
    param($Server)
    Invoke-RestMethod -Uri "$($Server.Url)/faults" -Method Delete | Out-Null
}

function Get-UssTestCount {
    # How many requests a server had by method and path, like 'POST /api/v1/PersonalTokens/authenticate'.
    param($Server, [string] $Request)
    $counts = Invoke-RestMethod -Uri "$($Server.Url)/faults/counts"
    $count = $counts.PSObject.Properties[$Request]
    if ($null -eq $count) { 0 } else { $count.Value }
}

function Get-UssNativeCount {
    # Live native connections, operations, buffers, secrets and running tasks of this process.
    $native = [System.AppDomain]::CurrentDomain.GetData('Uss.Native 1 0.1.0')
    $counts = [long[]]::new(5)
    if ($native::uss_debug_counts($counts, 5) -ne 0) { throw 'uss_debug_counts failed' }
    [pscustomobject] @{ Connections = $counts[0]; Operations = $counts[1]; Buffers = $counts[2]; Secrets = $counts[3]; Tasks = $counts[4] }
}

function Wait-UssNativeIdle {
    # Waits until nothing is left of any operation; a cancelled task ends at its next await.
    foreach ($try in 1..200) {
        $counts = Get-UssNativeCount
        if ($counts.Operations + $counts.Buffers + $counts.Secrets + $counts.Tasks -eq 0) { break }
        [System.Threading.Thread]::Sleep(25)
    }
    $counts
}

function New-UssTestRunner {
    # A PowerShell in this process, with no more than the core commands: on Windows the default loads modules for
    # administrators, which not every host brings.
    [powershell]::Create([initialsessionstate]::CreateDefault2())
}

function Get-UssTestCompletion {
    # What the end of a line completes to. A completer that asks a server gives up after 300 ms, which a busy machine may
    # take: nothing is asked for again.
    param([string] $Line)
    foreach ($try in 1..20) {
        $found = @((TabExpansion2 $Line $Line.Length).CompletionMatches)
        if ($found) { break }
    }
    $found
}

function Get-UssTestCertificate {
    # PEM files of a certificate for other.example that signed itself, and of its key; `cargo xtask test` makes them.
    param([string] $Folder)
    foreach ($name in 'certificate.pem', 'key.pem') {
        Copy-Item (Join-Path $env:USS_TEST_TLS $name) $Folder
        Join-Path $Folder $name
    }
}

function Remove-UssTestFolder {
    # Windows keeps a library that a process has just let go of in its folder for a moment.
    param([string] $Folder)
    foreach ($try in 1..200) {
        try { Remove-Item $Folder -Recurse -Force -ErrorAction Stop; return }
        catch { if ($try -eq 200) { throw } }
        [System.Threading.Thread]::Sleep(25)
    }
}

function Invoke-UssTestShell {
    # Runs a script in a PowerShell of its own, and returns its output, errors and exit code.
    param([string] $Script, [hashtable] $Environment = @{})
    $start = [System.Diagnostics.ProcessStartInfo]::new([System.Environment]::ProcessPath)
    foreach ($argument in '-NoLogo', '-NoProfile', '-NonInteractive', '-Command', $Script) { $start.ArgumentList.Add($argument) }
    foreach ($name in $Environment.Keys) { $start.Environment[$name] = $Environment[$name] }
    $start.RedirectStandardOutput = $start.RedirectStandardError = $true
    $process = [System.Diagnostics.Process]::Start($start)
    $errors = $process.StandardError.ReadToEndAsync()
    $output = $process.StandardOutput.ReadToEnd()
    $process.WaitForExit()
    [pscustomobject] @{ Output = $output.Trim(); Errors = $errors.Result.Trim(); ExitCode = $process.ExitCode }
}

function Get-OnlyError {
    # The one error of a script, written or thrown.
    param([scriptblock] $Script)
    # Pester's own is Stop, and would end a cmdlet at the first.
    $ErrorActionPreference = 'Continue'
    $found = @()
    try { & $Script 2>&1 | ForEach-Object { if ($_ -is [System.Management.Automation.ErrorRecord]) { $found += $_ } } } catch { $found += $_ }
    if ($found.Count -ne 1) { throw "$($found.Count) errors: $found" }
    $found[0]
}

function Get-Failure {
    # The terminating error of a script.
    param([scriptblock] $Script)
    try { $null = & $Script } catch { return $_ }
    throw 'nothing failed'
}
