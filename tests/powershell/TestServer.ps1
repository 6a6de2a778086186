# Servers for the tests: starts uss-server processes on loopback with a user and a token each, and stops them again.
# USS_TEST_SERVER is the server's program, USS_TEST_MODULE the staged module's folder; `cargo xtask test` sets both.
Set-StrictMode -Version Latest

function Invoke-UssServerProgram {
    # Runs a command of uss-server, with the pipeline as its input, and returns what it prints.
    $output = $input | & $env:USS_TEST_SERVER @args
    if ($LASTEXITCODE -ne 0) { throw "uss-server $($args -join ' ') ended with $LASTEXITCODE" }
    $output
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
    $start = [System.Diagnostics.ProcessStartInfo]::new($env:USS_TEST_SERVER)
    foreach ($argument in @('serve', '--listen', '127.0.0.1:0', '--data', $data) + $Arguments) { $start.ArgumentList.Add($argument) }
    $start.RedirectStandardOutput = $start.RedirectStandardError = $true
    $process = [System.Diagnostics.Process]::Start($start)
    $line = $process.StandardOutput.ReadLine()
    if ($line -notmatch '^listening on (?<url>\S+)$') { throw "uss-server said '$line' instead of where it listens" }
    [pscustomobject] @{
        Url = $Matches.url; Data = $data; User = $User; Token = $token; Process = $process
        Credential = New-UssTestCredential $User $token
        Password = $password; Person = New-UssTestCredential $User $password
        Log = $process.StandardError.ReadToEndAsync()
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
