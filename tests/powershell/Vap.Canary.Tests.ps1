# No secret of module Vap leaves: whatever fails, no token, session or password is in anything that anybody can read
# afterwards, in any form. The platform is reached over a wire that keeps what passes, so that each session and each
# token that was handed out is looked for.

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    . $PSScriptRoot/Canary.ps1
    $uss = $env:USS_TEST_MODULE
    $module = Join-Path (Split-Path $uss) 'Vap'
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "vap-canary-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $logged = $env:USS_SERVER_LOG
    $env:USS_SERVER_LOG = 'trace'
    try {
        $a = Start-UssTestServer $folder 'anna' -Arguments '--demo', '--state-time', '200'
        $certificateFile, $keyFile = Get-UssTestCertificate $folder
        $tls = Start-UssTestServer $folder 'tina' @('--tls-cert', $certificateFile, '--tls-key', $keyFile)
    }
    finally { $env:USS_SERVER_LOG = $logged }
    $tap = Start-CanaryTap ([uri] $a.Url).Port
    $echo = Start-CanaryTap

    function New-Noise {
        # Text that no token and no password is, with what has to be escaped.
        param([string] $Start)
        $random = [byte[]]::new(48)
        [System.Security.Cryptography.RandomNumberGenerator]::Fill($random)
        $Start + [System.Convert]::ToBase64String($random)
    }
    $wrong, $wrongPassword, $evil = (New-Noise '/+'), (New-Noise 'w "\/+'), (New-Noise 'e/+')

    Import-Module $module
    $person = @{ Server = $a.Url; Credential = $a.Person }
    foreach ($try in 1..50) {
        $canary = New-VapToken "everything $try" -Scope 'Extended Access' -AsPlainText @person
        if ($canary.Value.Contains('/') -and $canary.Value.Contains('+')) { break }
    }
    $narrow = New-VapToken 'narrow' -Method environment/control/getenvs -AsPlainText @person
    $removed = New-VapToken 'removed' -Scope 'Extended Access' -AsPlainText @person
    Remove-VapToken $removed.Id -Force @person
    $ends = [datetime]::UtcNow.AddSeconds(2)
    $expired = New-VapToken 'expired' -Scope 'Extended Access' -Expires $ends -AsPlainText @person
    Remove-Module Vap

    $token, $password = $canary.Value, $a.Password

    function Get-Secret {
        # All secrets so far, by a name to report them by.
        $secrets = @{
            token = $token; password = $password; 'narrow token' = $narrow.Value; 'removed token' = $removed.Value; 'expired token' = $expired.Value
            'wrong token' = $wrong; 'wrong password' = $wrongPassword; 'session of the echo' = $evil; 'token of Uss' = $a.Token; 'password over TLS' = $tls.Password
        }
        $number = 0
        foreach ($found in [regex]::Matches((Get-CanaryTraffic $tap), '"(?:session|key)":"([^"]+)"') | ForEach-Object { $_.Groups[1].Value } | Sort-Object -Unique) {
            $number++
            $secrets["handed out $number"] = $found
        }
        $secrets
    }

    # Everything that failing scripts use. No script holds a secret itself: that would be the user's own leak.
    # Both modules in the process, as an administrator has them.
    $runspace = New-CanaryRunspace -Modules $module, $uss -Variables @{
        module = $module; uss = $uss; url = $tap.Url; echo = $echo.Url; tls = $tls.Url; certificateFile = $certificateFile; token = $token
        by = @{ Server = $tap.Url; Credential = New-UssTestCredential 'token' $token }
        byNarrow = @{ Server = $tap.Url; Credential = New-UssTestCredential 'token' $narrow.Value }
        byExpired = @{ Server = $tap.Url; Credential = New-UssTestCredential 'token' $expired.Value }
        byRemoved = @{ Server = $tap.Url; Credential = New-UssTestCredential 'token' $removed.Value }
        wrong = New-UssTestCredential 'token' $wrong; wrongPerson = New-UssTestCredential 'anna' $wrongPassword
        person = $a.Person; asPerson = @{ Server = $tap.Url; Credential = $a.Person }; tlsPerson = $tls.Person
        byEcho = @{ Server = $echo.Url; Credential = New-UssTestCredential 'token' $token }; personAtEcho = @{ Server = $echo.Url; Credential = $a.Person }
        ussAtA = @{ Server = $tap.Url; Credential = $a.Credential }; canaryId = $canary.Id
    }

    function Set-Answer {
        # What the echoing platform says: to everybody, or to those that it gave a session.
        param([string] $Status, [string[]] $Headers, [string] $Body, [switch] $SignsIn)
        $echo.Answers.Session = if ($SignsIn) { $evil }
        Set-CanaryAnswer $echo $Status $Headers $Body
    }
}

AfterEach {
    if (-not $a.Process.HasExited) { Clear-UssTestFault $a }
}

AfterAll {
    $runspace.Dispose()
    $tap, $echo | Stop-CanaryTap
    $a, $tls | Stop-UssTestServer
    Remove-Item $folder -Recurse -Force
}

Describe 'A real platform' {
    It '<Name>' -ForEach @(
        @{ Name = 'a wrong token'; Script = 'Connect-VapPlatform $url $wrong'; Ids = 'Vap.702,Connect-VapPlatform' }
        @{ Name = 'a wrong password'; Script = 'Connect-VapPlatform $url $wrongPerson -SignIn'; Ids = 'Vap.701,Connect-VapPlatform' }
        @{ Name = 'a removed token'; Script = 'Get-VapEnvironment @byRemoved'; Ids = 'Vap.702,Get-VapEnvironment' }
        @{ Name = 'a token that may not do this'; Script = 'Stop-VapEnvironment my-project -Confirm:$false @byNarrow'; Ids = 'Vap.8202,Stop-VapEnvironment' }
        @{ Name = 'a password in place of a token'; Script = 'Get-VapEnvironment -Server $url -Credential $person'; Ids = 'Vap.702,Get-VapEnvironment' }
        @{ Name = 'a token in place of a password'; Script = 'Get-VapToken @by'; Ids = 'Vap.701,Get-VapToken' }
        @{ Name = 'a wrong password on a change'; Script = 'New-VapToken x -Scope Marketplace -Password $wrongPerson.Password @asPerson'; Ids = 'Vap.701,New-VapToken' }
        @{ Name = 'a wrong password in a call'; Script = 'Invoke-VapMethod environment/control/deleteenv @{ envName = "my-project"; password = $wrongPerson } @by'; Ids = 'Vap.701,Invoke-VapMethod' }
        @{ Name = 'a secret in a parameter that is none'; Script = 'Invoke-VapMethod environment/control/stopenv @{ envName = "my-project"; pass = $person } @by'; Ids = 'InvalidArgument,Invoke-VapMethod' }
        @{ Name = 'a secret of another type than the parameter'; Script = 'Invoke-VapMethod environment/control/restartnodebyid @{ envName = "my-project"; nodeId = $person } @by'; Ids = 'InvalidArgument,Invoke-VapMethod' }
        @{ Name = 'a session beside the connection''s'; Script = 'Invoke-VapMethod environment/control/getenvs @{ session = $person } @by'; Ids = 'InvalidArgument,Invoke-VapMethod' }
        @{ Name = 'an unknown method'; Script = 'Invoke-VapMethod environment/control/stopenvs @{ password = $person } @by'; Ids = 'InvalidArgument,Invoke-VapMethod' }
        @{ Name = 'an unknown method that is sent'; Script = 'Invoke-VapMethod environment/control/stopenvs @{ password = $person } -Force @by'; Ids = 'Vap.5,Invoke-VapMethod' }
        @{ Name = 'an environment that is not there'; Script = 'Get-VapEnvironment nowhere @by'; Ids = 'Vap.11,Get-VapEnvironment' }
        @{ Name = 'a token that is not there'; Script = 'Reset-VapToken 1 -Force @asPerson'; Ids = 'Vap.5,Reset-VapToken' }
        @{ Name = 'a token that ends in the past'; Script = 'New-VapToken x -Scope Marketplace -Expires 2020-01-01 @asPerson'; Ids = 'Vap.3,New-VapToken' }
        @{ Name = 'a failure inside of an answer'; Script = 'Invoke-VapMethod environment/control/createenvironment @{ env = @{ shortdomain = "my-project" }; nodes = @{ nodeType = "nginx" } } @by'; Ids = 'Vap.2330,Invoke-VapMethod' }
        @{ Name = 'a gateway that gave up'; Fault = @{ path = '/rest/restartnodes'; count = 100; action = @{ status = @{ code = 504 } } }; Script = 'Restart-VapEnvironment my-project -Confirm:$false @by'; Ids = 'ServerUnavailable,Restart-VapEnvironment' }
        @{ Name = 'an answer that breaks off'; Fault = @{ path = '/rest/restartnodes'; count = 100; action = @{ reset = 5 } }; Script = 'Restart-VapEnvironment my-project -Confirm:$false @by'; Ids = 'ConnectionFailed,Restart-VapEnvironment' }
        @{ Name = 'a time-out'; Fault = @{ path = '/rest/restartnodes'; count = 100; action = @{ stall = 5 } }; Script = 'Restart-VapEnvironment my-project -Confirm:$false -TimeoutSec 1 @by'; Ids = 'Stalled,Restart-VapEnvironment' }
    ) {
        if ($_.Contains('Fault')) { Add-UssTestFault $a $Fault }
        Confirm-NoSecret $Script $Ids
    }

    It 'an expired token' {
        foreach ($try in 1..200) {
            if ([datetime]::UtcNow -gt $ends.AddSeconds(1)) { break }
            [System.Threading.Thread]::Sleep(50)
        }
        $all = Confirm-NoSecret 'Get-VapEnvironment @byExpired' 'Vap.702,Get-VapEnvironment'
        "$($all.Messages)" | Should -Match 'expired'
    }

    It 'the life of a token, whose value is shown as a secure string alone' {
        # Not the objects themselves: PowerShell serializes a secure string as plain hex where it has no DPAPI.
        Confirm-NoSecret '$t = New-VapToken canary -Scope Marketplace -Password $person.Password @asPerson; $t | Out-String; $t | ConvertTo-Json; $r = $t | Reset-VapToken -Force @asPerson; $r | Format-List * -Force | Out-String; $c = $r | Copy-VapToken -Description copy @asPerson; $c | Out-String; $t.Id, $c.Id | Remove-VapToken -Force @asPerson; Get-VapToken @asPerson; Get-VapToken 1 @asPerson' 'Vap.5,Get-VapToken'
        Confirm-NoSecret '$x = Invoke-VapMethod users/authentication/createtoken @{ description = "call"; tokenTemplate = "Marketplace"; password = $person } -SignIn @asPerson; $x | Out-String; $x.token | Format-List * -Force | Out-String; Remove-VapToken $x.token.id -Force @asPerson'
        @((Get-Secret).Keys -like 'handed out*').Count | Should -BeGreaterThan 6
    }

    It 'connections, also in another process, and Uss beside them' {
        Confirm-NoSecret '$u = Connect-UssServer @ussAtA; $c = Connect-VapPlatform @asPerson -SignIn; $c; Get-VapConnection | Format-List * -Force | Out-String; $c.PSObject.Members | Format-List * | Out-String; @(Get-VapToken).Count; Get-UssPackage'
        Confirm-NoSecret '$t = [System.Management.Automation.PSSerializer]; $there = $t::Deserialize($t::Serialize($c, 5)); $there; Get-VapEnvironment -Server $there' 'InvalidHandle,Get-VapEnvironment'
        Confirm-NoSecret 'Get-VapEnvironment -Server $u' 'InvalidArgument,Get-VapEnvironment'
        Confirm-NoSecret 'Get-UssPackage -Server $c' 'InvalidArgument,Get-UssPackage'
        Confirm-NoSecret 'Disconnect-VapPlatform; $c; Get-VapEnvironment -Server $c' 'InvalidHandle,Get-VapEnvironment'
        # Uss goes on: the connections are its own.
        Confirm-NoSecret 'Get-VapEnvironment; Get-UssPackage; Disconnect-UssServer' 'NotConnected,Get-VapEnvironment'
    }

    It 'Ctrl-C while progress is shown, and the command lines then' {
        Add-UssTestFault $a @{ path = '/rest/restartnodes'; count = 100; action = @{ stall = 5 } }
        $lines = [System.Collections.Generic.List[string]]::new()
        $all = Confirm-NoSecret 'Restart-VapEnvironment my-project -Confirm:$false @by' -Until {
            param($shell)
            if ($shell.Streams.Progress.Count -eq 0) { return $false }
            if ($IsLinux) {
                foreach ($process in $a.Process.Id, $PID) { $lines.Add([System.IO.File]::ReadAllText("/proc/$process/cmdline")) }
            }
            $true
        }
        $all.State | Should -Be 'Stopped'
        $all.Progress | Should -BeGreaterThan 0
        Find-Canary (Get-Secret) $lines | Should -BeNullOrEmpty
    }
}

Describe 'On the way' {
    It '<Name>' -ForEach @(
        @{ Name = 'a platform that is not there'; Script = 'Connect-VapPlatform http://127.0.0.1:1 $wrong'; Ids = 'ConnectionFailed,Connect-VapPlatform' }
        @{ Name = 'a password for a platform that is not there'; Script = 'Get-VapToken -Server http://127.0.0.1:1 -Credential $wrongPerson'; Ids = 'ConnectionFailed,Get-VapToken' }
        @{ Name = 'a certificate that nobody signed'; Script = 'Connect-VapPlatform $tls $tlsPerson -SignIn'; Ids = 'TlsFailed,Connect-VapPlatform' }
        @{ Name = 'plain http to another machine'; Script = 'Get-VapEnvironment -Server http://app.example.com -Credential $wrong'; Ids = 'InsecureTransport,Get-VapEnvironment' }
        @{ Name = 'a token in place of a credential'; Script = 'Get-VapEnvironment -Server $url -Credential $token'; Ids = 'InvalidArgument,Get-VapEnvironment' }
        @{ Name = 'a token in place of a password'; Script = 'New-VapToken x -Scope Marketplace -Password $token @asPerson'; Ids = 'InvalidArgument,New-VapToken' }
        @{ Name = 'a token in place of parameters'; Script = 'Invoke-VapMethod environment/control/getenvs $token @by'; Ids = 'InvalidArgument,Invoke-VapMethod' }
        @{ Name = 'a credential beside a connection'; Script = '$c = Connect-VapPlatform @by; Get-VapEnvironment -Server $c -Credential $wrong; Disconnect-VapPlatform'; Ids = 'InvalidArgument,Get-VapEnvironment' }
    ) {
        Confirm-NoSecret $Script $Ids
    }
}

Describe 'A platform that repeats all that it was told' {
    It 'as <Name>' -ForEach @(
        @{ Name = 'a page'; Status = '200 OK'; Headers = 'Content-Type: text/html'; Body = '<html><head><title>{echo}</title></head><body>{echo}</body></html>'; Ids = 'ProtocolViolation' }
        @{ Name = 'a page that refuses'; Status = '403 No'; Headers = 'Content-Type: text/html'; Body = '<html><title>{echo}</title></html>'; Ids = 'ProtocolViolation' }
        @{ Name = 'a result'; Status = '200 OK'; Headers = 'Content-Type: application/json'; Body = '{"result":4099,"error":"{echo}","source":"{echo}","reason":"{echo}"}'; Ids = 'Vap.4099' }
        @{ Name = 'a failure inside of an answer'; Status = '200 OK'; Headers = 'Content-Type: application/json'; Body = '{"result":0,"responses":[{"result":4099,"errOut":"{echo}","nodeId":7}]}'; Ids = 'Vap.4099' }
        @{ Name = 'an answer without a number'; Status = '200 OK'; Headers = 'Content-Type: application/json'; Body = '{"result":"{echo}","error":"{echo}"}'; Ids = 'ProtocolViolation' }
        @{ Name = 'plain text'; Status = '403 No'; Headers = 'Content-Type: text/plain'; Body = '{echo}'; Ids = 'PermissionDenied' }
        @{ Name = 'an answer that is no HTTP'; Status = '{echo}'; Body = '{echo}'; Ids = 'ProtocolViolation' }
        @{ Name = 'headers'; Status = '403 No'; Headers = 'Server: {echo}', 'Via: {echo}', 'Set-Cookie: {echo}', 'X-Echo: {echo}'; Ids = 'PermissionDenied' }
        @{ Name = 'a redirect to another host'; Status = '307 There'; Headers = 'Location: https://127.0.0.1:1/{echo}?{echo}'; Ids = 'ProtocolViolation' }
        @{ Name = 'a refusal longer than what is read of it'; Status = '403 No'; Headers = 'Content-Type: text/plain'; Body = 'x{cut}'; Ids = 'PermissionDenied' }
    ) {
        Set-Answer $Status $_['Headers'] $_['Body']
        Confirm-NoSecret 'Connect-VapPlatform @byEcho' "$Ids,Connect-VapPlatform"
        Confirm-NoSecret 'Invoke-VapMethod environment/control/deleteenv @{ envName = "x"; password = $person } @byEcho' "$Ids,Invoke-VapMethod"
        Confirm-NoSecret 'New-VapToken x -Scope Marketplace @personAtEcho' "$Ids,New-VapToken"
        Set-Answer $Status $_['Headers'] $_['Body'] -SignsIn
        # What was answered to the sign-out is an error too, and says no more.
        $all = Confirm-NoSecret 'New-VapToken x -Scope Marketplace -Password $person.Password @personAtEcho'
        $all.Ids | Should -Contain "$Ids,New-VapToken"
        Get-CanaryTraffic $echo | Should -Match 'session=.*%2F'
        Get-CanaryTraffic $echo | Should -Match ([regex]::Escape("session=$([uri]::EscapeDataString($evil))"))
    }
}

Describe 'What a platform keeps' {
    It 'no secret is at rest, and none is logged' {
        $secrets = Get-Secret
        Confirm-NoSecretAtRest $secrets $a.Data
        # The guide's URL holds the token: what the server logs of it is the path.
        $stop = "$($a.Url)/1.0/environment/control/rest/stopenv?envName=my-project&session=$([uri]::EscapeDataString($token))"
        (Invoke-RestMethod $stop).result | Should -Be 0
        $a, $tls | Stop-UssTestServer
        $log = $a.Log.Result
        $log | Should -Match 'POST.*signin'
        $log | Should -Match 'GET.*stopenv'
        $log | Should -Match 'TRACE|DEBUG'
        $log | Should -Not -Match 'session=|password='
        Find-Canary $secrets $log, $tls.Log.Result | Should -BeNullOrEmpty
    }
}
