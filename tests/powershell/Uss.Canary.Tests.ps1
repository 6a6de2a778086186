# No secret leaves: whatever fails, no token and no bearer is in anything that anybody can read afterwards, in any form.
# The two servers are reached over wires that keep what passes, so that each bearer that was handed out is looked for.

. $PSScriptRoot/Platform.ps1

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    . $PSScriptRoot/Canary.ps1
    $module = $env:USS_TEST_MODULE
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-canary-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $logged = $env:USS_SERVER_LOG
    $env:USS_SERVER_LOG = 'trace'
    try {
        $servers = @{ a = (Start-UssTestServer $folder 'anna'); b = (Start-UssTestServer $folder 'bert' @('--failure-limit', '3')) }

        $certificateFile, $keyFile = Get-UssTestCertificate $folder
        $servers.tls = Start-UssTestServer $folder 'tina' @('--tls-cert', $certificateFile, '--tls-key', $keyFile)
    }
    finally { $env:USS_SERVER_LOG = $logged }
    $a, $b, $tls = $servers.a, $servers.b, $servers.tls

    Add-UssTestPackage $a 'app' '1.0.0' | Out-Null
    Add-UssTestPackage $a 'left' '1.0.0' 'right=^' | Out-Null
    Add-UssTestPackage $a 'right' '1.0.0' 'left=^' | Out-Null
    Add-UssTestPackage $a 'lonely' '1.0.0' 'nowhere=^' | Out-Null
    $noZip = Join-Path $folder 'text.zip'
    Set-Content $noZip 'no zip'
    $noManifest = Join-Path $folder 'none.zip'
    $zip = [System.IO.Compression.ZipFile]::Open($noManifest, 'Create')
    $zip.CreateEntry('a.txt').Open().Dispose()
    $zip.Dispose()

    # Tokens that are none, or none any more.
    $expired = Invoke-UssServerProgram token create --user anna --name old --expires '2020-01-01' --data $a.Data
    $revoked = Invoke-UssServerProgram token create --user anna --name revoked --data $a.Data
    $random = [byte[]]::new(64)
    [System.Security.Cryptography.RandomNumberGenerator]::Fill($random)
    $wrong = '/+' + [System.Convert]::ToBase64String($random)
    [System.Security.Cryptography.RandomNumberGenerator]::Fill($random)
    $evil = 'eyJhbGciOiJub25lIn0.' + [System.Convert]::ToBase64String($random, 30, 33).Replace('+', '-').Replace('/', '_') + '.x'
    [System.Security.Cryptography.RandomNumberGenerator]::Fill($random)
    $proxyPassword = 'px/+' + [System.Convert]::ToBase64String($random, 16, 32)
    [System.Security.Cryptography.RandomNumberGenerator]::Fill($random)
    $wrongPassword = 'w "\/+' + [System.Convert]::ToBase64String($random, 16, 32)

    $tapA, $tapB = ([uri] $a.Url).Port, ([uri] $b.Url).Port | ForEach-Object { Start-CanaryTap $_ }
    $echo = Start-CanaryTap
    $proxy = Start-CanaryTap

    function Get-Secret {
        # All secrets so far, by a name to report them by. The start of the servers' bearers is looked for too: the
        # head of each JWT that they sign is the same.
        $secrets = @{
            'token of a' = $a.Token; 'token of b' = $b.Token; 'token of tls' = $tls.Token; 'expired token' = $expired
            'revoked token' = $revoked; 'wrong token' = $wrong; 'bearer of the echo' = $evil; 'proxy password' = $proxyPassword
            'password of a' = $a.Password; 'password of b' = $b.Password; 'password of tls' = $tls.Password; 'wrong password' = $wrongPassword
        }
        $number = 0
        foreach ($value in @(Get-CanaryValue $tapA) + @(Get-CanaryValue $tapB) | Sort-Object -Unique) {
            $number++
            $secrets["value $number"] = $value
        }
        $number = 0
        foreach ($bearer in @(Get-CanaryBearer $tapA) + @(Get-CanaryBearer $tapB) | Sort-Object -Unique) {
            $number++
            $secrets["bearer $number"] = $bearer
            $secrets['head of a bearer'] = $bearer.Split('.')[0]
        }
        $secrets
    }

    # Everything that failing scripts use. No script holds a secret itself: that would be the user's own leak.
    $runspace = New-CanaryRunspace -Modules $module -Variables @{
        module = $module; folder = $folder; noZip = $noZip; noManifest = $noManifest; certificateFile = $certificateFile
        atA = @{ Server = $tapA.Url; Credential = $a.Credential }; atB = @{ Server = $tapB.Url; Credential = $b.Credential }
        copy = @{ SourceServer = $tapA.Url; SourceCredential = $a.Credential; Server = $tapB.Url; Credential = $b.Credential }
        atEcho = @{ Server = $echo.Url; Credential = $a.Credential }; echo = $echo.Url; proxy = $proxy.Url; tls = $tls.Url; tlsCredential = $tls.Credential
        urlA = $tapA.Url; urlB = $tapB.Url; token = $a.Token; proxyCredential = New-UssTestCredential 'carl' $proxyPassword
        wrong = New-UssTestCredential 'anna' $wrong; expired = New-UssTestCredential 'anna' $expired; revoked = New-UssTestCredential 'anna' $revoked
        person = $a.Person; personB = $b.Person; wrongPerson = New-UssTestCredential 'anna' $wrongPassword; asPerson = @{ Server = $tapA.Url; Credential = $a.Person }
    }

    function Set-Answer {
        # What the echoing server says: to everybody, or to those that it signed in with a bearer.
        param($Tap, [string] $Status, [string[]] $Headers, [string] $Body, [switch] $SignsIn)
        $Tap.Answers.Bearer = if ($SignsIn) { $evil }
        Set-CanaryAnswer $Tap $Status $Headers $Body
    }
}

AfterEach {
    $a, $b | Where-Object { -not $_.Process.HasExited } | ForEach-Object { Clear-UssTestFault $_ }
}

AfterAll {
    $runspace.Dispose()
    $tapA, $tapB, $echo, $proxy | Stop-CanaryTap
    $servers.Values | Stop-UssTestServer
    Remove-Item $folder -Recurse -Force
}

Describe 'The search' {
    It 'finds a secret in each form' {
        $secret = $a.Token
        $secret | Should -Match '/.*\+|\+.*/'
        $utf16 = [System.Text.Encoding]::Unicode
        $seeds = @{
            plain = $secret
            percent = [System.Uri]::EscapeDataString($secret)
            'percent, lower' = [regex]::Replace([System.Uri]::EscapeDataString($secret), '%..', { $args[0].Value.ToLowerInvariant() })
            'percent, twice' = [System.Uri]::EscapeDataString([System.Uri]::EscapeDataString($secret))
            form = [System.Web.HttpUtility]::UrlEncode($secret)
            json = $secret.Replace('/', '\/').Replace('+', '\u002b')
            xml = $secret.Replace('+', '&#43;').Replace('/', '&#x2F;')
            hex = [System.Convert]::ToHexString([System.Text.Encoding]::UTF8.GetBytes($secret))
            'hex of UTF-16, lower' = [System.Convert]::ToHexString($utf16.GetBytes($secret)).ToLowerInvariant()
            'hex with dashes' = [System.BitConverter]::ToString([System.Text.Encoding]::UTF8.GetBytes($secret))
            wrapped = $secret.Insert(30, "`r`n   ").Insert(10, "`n")
            'a part' = $secret.Substring(0, 25)
            'the end' = $secret.Substring($secret.Length - 25)
            'base64 as UTF-16' = $utf16.GetString($utf16.GetBytes([System.Convert]::ToBase64String([System.Text.Encoding]::UTF8.GetBytes($secret))))
        }
        foreach ($before in '', 'x', 'xy', 'xyz') {
            foreach ($encoding in [System.Text.Encoding]::UTF8, $utf16, [System.Text.Encoding]::BigEndianUnicode) {
                $base64 = [System.Convert]::ToBase64String($encoding.GetBytes("$before$secret!"))
                $seeds["base64 after '$before' as $($encoding.WebName)"] = $base64
                $seeds["url-safe base64 after '$before' as $($encoding.WebName)"] = $base64.Replace('+', '-').Replace('/', '_').TrimEnd('=')
            }
        }
        foreach ($name in $seeds.Keys) {
            @(Find-Canary @{ it = $secret } "before $($seeds[$name]) after").Count | Should -BeGreaterThan 0 -Because $name
        }
        foreach ($encoding in $utf16, [System.Text.Encoding]::BigEndianUnicode, [System.Text.Encoding]::UTF8) {
            foreach ($before in 0, 1) {
                $bytes = [byte[]] ([byte[]]::new($before) + $encoding.GetBytes("before $secret after"))
                @(Find-Canary @{ it = $secret } (, $bytes)).Count | Should -BeGreaterThan 0 -Because $encoding.WebName
            }
        }
        Find-Canary @{ it = $secret } $b.Token, $wrong, ($seeds.Values -join ' ').Replace($secret.Substring(3, 3), '...').Length | Should -BeNullOrEmpty
    }

    It 'looks into every stream, object and error' {
        # What a module that leaks would do; each place has its own secret.
        $secrets = @{}
        foreach ($place in 'output', 'verbose', 'debug', 'warning', 'information', 'progress', 'message', 'target', 'data', 'inner', 'hint', 'thrown', 'member') {
            $secrets[$place] = [guid]::NewGuid().ToString('N')
        }
        $runspace.SessionStateProxy.SetVariable('s', $secrets)
        $all = Invoke-Canary $runspace @'
            function Test-Leak {
                [CmdletBinding()] param()
                [pscustomobject] @{ Deep = @{ Value = $s.output } }
                $object = [pscustomobject] @{ A = 1 }; $object.PSObject.Members.Add([psnoteproperty]::new('B', $s.member)); $object
                Write-Verbose $s.verbose; Write-Debug $s.debug; Write-Warning $s.warning; Write-Information $s.information
                Write-Progress -Activity $s.progress
                $e = [InvalidOperationException]::new($s.message, [Exception]::new($s.inner)); $e.Data['x'] = $s.data
                $record = [System.Management.Automation.ErrorRecord]::new($e, 'Leak', 'NotSpecified', $s.target)
                $record.ErrorDetails = 'x'; $record.ErrorDetails.RecommendedAction = $s.hint
                $PSCmdlet.WriteError($record)
                throw $s.thrown
            }
            Test-Leak
'@
        $runspace.SessionStateProxy.SetVariable('s', $null)
        $found = @(Find-Canary $secrets $all.Texts) -replace ' as .*' | Sort-Object -Unique
        $found | Should -Be ($secrets.Keys | Sort-Object)
    }
}

Describe 'A real server' {
    It '<Name>' -ForEach @(
        @{ Name = 'a wrong token'; Script = 'Connect-UssServer $urlA $wrong'; Ids = 'AuthenticationFailed,Connect-UssServer' }
        @{ Name = 'an expired token'; Script = 'Get-UssPackage -Server $urlA -Credential $expired'; Ids = 'AuthenticationFailed,Get-UssPackage' }
        @{ Name = 'an unknown package'; Script = 'Get-UssPackageVersion nothing @atA'; Ids = 'PackageNotFound,Get-UssPackageVersion' }
        @{ Name = 'a query that selects nothing'; Script = 'Get-UssPackageVersion app ">=2.0" @atA'; Ids = 'NoPackageInRange,Get-UssPackageVersion' }
        @{ Name = 'a query that does not parse'; Script = 'Get-UssPackageVersion app "1.0 && 2.0" @atA'; Ids = 'InvalidVersionQuery,Get-UssPackageVersion' }
        @{ Name = 'a query with a placeholder'; Script = 'Get-UssPackageVersion app ''${Version}'' @atA'; Ids = 'InvalidVersionQuery,Get-UssPackageVersion' }
        @{ Name = 'a cycle'; Script = 'Copy-UssPackageFromServer left @copy'; Ids = 'DependencyCycle,Copy-UssPackageFromServer' }
        @{ Name = 'a missing dependency'; Script = 'Copy-UssPackageFromServer lonely @copy'; Ids = 'DependencyUnresolved,Copy-UssPackageFromServer' }
        @{ Name = 'not a zip'; Script = 'Invoke-UssMethod /api/v1/Packages POST -InFile $noZip -ContentType application/zip @atB'; Ids = 'InvalidPackage,Invoke-UssMethod' }
        @{ Name = 'no manifest'; Script = 'Invoke-UssMethod /api/v1/Packages POST -InFile $noManifest -ContentType application/zip @atB'; Ids = 'InvalidPackage,Invoke-UssMethod' }
        @{ Name = 'a route that is none'; Script = 'Invoke-UssMethod "/api/v1/none?token=$([uri]::EscapeDataString($token))" @atA'; Ids = 'InvalidArgument,Invoke-UssMethod' }
        @{ Name = 'content whose digest differs'; Fault = @{ at = 'a'; path = '/content'; count = 100; action = @{ corrupt = 500 } }; Script = 'Copy-UssPackageFromServer app @copy'; Ids = 'ChecksumMismatch,Copy-UssPackageFromServer' }
        @{ Name = 'a disk that is full'; Fault = @{ at = 'b'; method = 'POST'; path = '/api/v1/Packages'; query = 'packageId'; count = 100; action = @{ status = @{ code = 507 } } }; Script = 'Copy-UssPackageFromServer app @copy'; Ids = 'InsufficientStorage,Copy-UssPackageFromServer' }
        @{ Name = 'a bearer that ends early'; Fault = @{ at = 'a'; path = '/versions'; count = 100; action = 'expireBearers' }; Script = 'Get-UssPackageVersion app @atA'; Ids = 'AuthenticationFailed,Get-UssPackageVersion' }
        @{ Name = 'an answer that breaks off'; Fault = @{ at = 'a'; path = '/versions'; count = 100; action = @{ reset = 5 } }; Script = 'Get-UssPackageVersion app @atA'; Ids = 'ConnectionFailed,Get-UssPackageVersion' }
        @{ Name = 'a wrong password'; Script = 'Get-UssPersonalToken -Server $urlA -Credential $wrongPerson'; Ids = 'AuthenticationFailed,Get-UssPersonalToken' }
        @{ Name = 'a password in place of a token'; Script = 'Connect-UssServer $urlA $person'; Ids = 'AuthenticationFailed,Connect-UssServer' }
        @{ Name = 'a token in place of a password'; Script = 'New-UssPersonalToken x @atA'; Ids = 'AuthenticationFailed,New-UssPersonalToken' }
        @{ Name = 'a token that ends in the past'; Script = 'New-UssPersonalToken x -Expires 2020-01-01 @asPerson'; Ids = 'InvalidArgument,New-UssPersonalToken' }
        @{ Name = 'a token that is not there'; Script = 'Reset-UssPersonalToken nothing -Force @asPerson'; Ids = 'TokenNotFound,Reset-UssPersonalToken' }
        @{ Name = "a person's bearer that ends early"; Fault = @{ at = 'a'; path = '/api/v1/PersonalTokens'; count = 100; action = @{ status = @{ code = 401 } } }; Script = 'Get-UssPersonalToken @asPerson'; Ids = 'AuthenticationFailed,Get-UssPersonalToken' }
        @{ Name = 'too many wrong tokens'; Script = 'foreach ($try in 1..4) { Get-UssPackage -Server $urlB -Credential (New-Object PSCredential "bert", $wrong.Password) }'; Ids = 'AuthenticationFailed,Get-UssPackage', 'RateLimited,Get-UssPackage' }
    ) {
        if ($_.Contains('Fault')) {
            $rule = $Fault.Clone()
            $rule.Remove('at')
            Add-UssTestFault $servers[$Fault.at] $rule
        }
        $all = Confirm-NoSecret $Script $Ids
        # Requests were logged, headers too, but where nothing was sent.
        if (-not ($Ids -match 'InvalidVersionQuery|AuthenticationFailed')) { "$($all.Lines)" | Should -Match 'authorization: \[redacted\]' }
    }

    It 'a revoked token, with a bearer at hand' {
        (Invoke-Canary $runspace 'Get-UssPackage -Server $urlA -Credential $revoked').Ids | Should -BeNullOrEmpty
        $id = @(Invoke-UssServerProgram token list --user anna --data $a.Data | Where-Object { $_ -match 'revoked' })[-1] -split '\s+' | Select-Object -First 1
        Invoke-UssServerProgram token revoke $id --data $a.Data | Out-Null
        Confirm-NoSecret 'Get-UssPackage -Server $urlA -Credential $revoked' 'AuthenticationFailed,Get-UssPackage'
    }

    It 'the life of a token, whose value is shown as a secure string alone' {
        # Not the objects themselves: PowerShell serializes a secure string as plain hex where it has no DPAPI.
        Confirm-NoSecret '$t = New-UssPersonalToken canary @asPerson; $t | Out-String; $t | ConvertTo-Json; $r = $t | Reset-UssPersonalToken -Force @asPerson; $r | Out-String; $c = $r | Copy-UssPersonalToken -Name copy @asPerson; $c | Format-List * -Force | Out-String; $t, $c | Revoke-UssPersonalToken -Force @asPerson; $c, $t | Remove-UssPersonalToken -Force @asPerson; Get-UssPersonalToken @asPerson; Get-UssPersonalToken nothing @asPerson' 'TokenNotFound,Get-UssPersonalToken'
        @(Get-CanaryValue $tapA).Count | Should -BeGreaterOrEqual 3
    }

    It 'connections, also in another process' {
        Confirm-NoSecret '$c = Connect-UssServer @atA; $c; Get-UssConnection | Format-List * -Force | Out-String; Get-UssPackageVersion app; $c.PSObject.Members | Format-List * | Out-String'
        Confirm-NoSecret '$t = [System.Management.Automation.PSSerializer]; $there = $t::Deserialize($t::Serialize($c, 5)); $there; Get-UssPackage -Server $there' 'InvalidHandle,Get-UssPackage'
        Confirm-NoSecret 'Disconnect-UssServer; $c; Get-UssPackage -Server $c' 'InvalidHandle,Get-UssPackage'
        Confirm-NoSecret 'Get-UssPackage' 'NotConnected,Get-UssPackage'
    }

    It 'Ctrl-C while progress is shown, and the command lines then' {
        Add-UssTestFault $a @{ path = '/content'; count = 100; action = @{ stall = 100 } }
        $lines = [System.Collections.Generic.List[string]]::new()
        $all = Confirm-NoSecret 'Copy-UssPackageFromServer app @copy' -Until {
            param($shell)
            if ($shell.Streams.Progress.Count -eq 0) { return $false }
            if ($IsLinux) {
                foreach ($process in @($servers.Values.Process.Id) + $PID) { $lines.Add([System.IO.File]::ReadAllText("/proc/$process/cmdline")) }
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
        @{ Name = 'a server that is not there'; Script = 'Connect-UssServer http://127.0.0.1:1 $wrong'; Ids = 'ConnectionFailed,Connect-UssServer' }
        @{ Name = 'a certificate that nobody signed'; Script = 'Connect-UssServer $tls $tlsCredential'; Ids = 'TlsFailed,Connect-UssServer' }
        if (-not $onWine) {
            @{ Name = 'a certificate for another name'; Script = 'Connect-UssServer $tls $tlsCredential -CertificateAuthority $certificateFile'; Ids = 'TlsFailed,Connect-UssServer' }
        }
        @{ Name = 'plain http to another machine'; Script = 'Get-UssPackage -Server http://updates.example.com -Credential $wrong'; Ids = 'InsecureTransport,Get-UssPackage' }
        @{ Name = 'a token in place of a credential'; Script = 'Get-UssPackage -Server $urlA -Credential $token'; Ids = 'InvalidArgument,Get-UssPackage' }
        @{ Name = 'a token in place of a source credential'; Script = 'Copy-UssPackageFromServer app -SourceServer $urlA -SourceCredential $token -Server $urlB'; Ids = 'InvalidArgument,Copy-UssPackageFromServer' }
        @{ Name = 'a token in place of a proxy credential'; Script = 'Connect-UssServer $urlA -Proxy $proxy -ProxyCredential $token'; Ids = 'InvalidArgument,Connect-UssServer' }
        @{ Name = 'a password in place of a person''s credential'; Script = 'Get-UssPersonalToken -Server $urlA -Credential $token'; Ids = 'InvalidArgument,Get-UssPersonalToken' }
        @{ Name = 'a password for a server that is not there'; Script = 'Get-UssPersonalToken -Server http://127.0.0.1:1 -Credential $wrongPerson'; Ids = 'ConnectionFailed,Get-UssPersonalToken' }
        @{ Name = 'a password over plain http to another machine'; Script = 'Get-UssPersonalToken -Server http://updates.example.com -Credential $wrongPerson'; Ids = 'InsecureTransport,Get-UssPersonalToken' }
        @{ Name = 'a password to keep'; Script = 'Connect-UssServer $urlA $person -Remember'; Ids = 'AuthenticationFailed,Connect-UssServer' }
        @{ Name = 'a credential beside a connection'; Script = '$c = Connect-UssServer @atA; Get-UssPackage -Server $c -Credential $wrong; Disconnect-UssServer'; Ids = 'InvalidArgument,Get-UssPackage' }
        @{ Name = 'a proxy that wants a credential'; Status = '407 No'; Script = 'Connect-UssServer http://far.example $wrong -AllowUnencryptedAuthentication -Proxy $proxy'; Ids = 'ProxyAuthenticationRequired,Connect-UssServer' }
        @{ Name = 'a proxy that wants another credential'; Status = '407 No'; Script = 'Connect-UssServer http://far.example $wrong -AllowUnencryptedAuthentication -Proxy $proxy -ProxyCredential $proxyCredential'; Ids = 'ProxyAuthenticationRequired,Connect-UssServer' }
        @{ Name = 'a proxy that wants a credential for a tunnel'; Status = '407 No'; Script = 'Connect-UssServer https://far.example $wrong -SkipCertificateCheck -Proxy $proxy -ProxyCredential $proxyCredential'; Ids = 'ProxyAuthenticationRequired,Connect-UssServer' }
        @{ Name = "a proxy that does not let through, and repeats its credential"; Status = '403 No'; Script = 'Connect-UssServer http://far.example $wrong -AllowUnencryptedAuthentication -Proxy $proxy -ProxyCredential $proxyCredential'; Ids = 'PermissionDenied,Connect-UssServer' }
    ) {
        if ($_.Contains('Status')) {
            # An answer to CONNECT is only read while it is short.
            $headers = if ($Script -match 'https') { 'Server: x' } else { 'Content-Type: text/plain', 'Proxy-Authenticate: Basic realm="{echo}"', 'Server: {echo}' }
            Set-Answer $proxy $_.Status $headers '{echo}'
        }
        Confirm-NoSecret $Script $Ids
    }
}

Describe 'A server that repeats all that it was told' {
    It 'as <Name>' -ForEach @(
        @{ Name = "a proxy's page"; Status = '200 OK'; Headers = 'Content-Type: text/html'; Body = '<html><head><title>{echo}</title></head><body>{echo}</body></html>'; Ids = 'ProtocolViolation' }
        @{ Name = "a proxy's page that refuses"; Status = '403 No'; Headers = 'Content-Type: text/html'; Body = '<html><title>{echo}</title></html>'; Ids = 'ProtocolViolation' }
        @{ Name = 'plain text'; Status = '403 No'; Headers = 'Content-Type: text/plain'; Body = '{echo}'; Ids = 'PermissionDenied' }
        @{ Name = 'a refused sign-in'; Status = '401 No'; Headers = 'Content-Type: text/plain', 'WWW-Authenticate: Bearer error="invalid_token", error_description="{echo}"'; Body = '{echo}'; Ids = 'AuthenticationFailed' }
        @{ Name = 'a problem'; Status = '500 No'; Headers = 'Content-Type: application/problem+json'; Body = '{"type":"{echo}","title":"{echo}","detail":"{echo}","code":"{echo}"}'; Ids = 'ServerUnavailable' }
        @{ Name = 'too many requests'; Status = '429 {echo}'; Headers = 'Retry-After: 3600'; Body = '{echo}'; Ids = 'RateLimited' }
        @{ Name = 'headers'; Status = '409 No'; Headers = 'Server: {echo}', 'ETag: "{echo}"', 'Via: {echo}', 'Content-Type: text/plain; x="{echo}"', 'Set-Cookie: {echo}', 'X-Echo: {echo}', 'Allow: {echo}', 'Cache-Control: {echo}'; Ids = 'PackageAlreadyExists' }
        @{ Name = 'an answer that is no HTTP'; Status = '{echo}'; Body = '{echo}'; Ids = 'ProtocolViolation' }
        @{ Name = 'JSON of another kind'; Status = '200 OK'; Headers = 'Content-Type: application/json'; Body = '{"token":"{echo}","version":"{echo}"}'; Ids = 'ProtocolViolation' }
        @{ Name = 'a redirect to another server'; Status = '307 There'; Headers = 'Location: https://127.0.0.1:1/{echo}?{echo}'; Ids = 'ProtocolViolation' }
        @{ Name = 'a redirect to itself'; Status = '307 There'; Headers = 'Location: /x?again=1'; Ids = 'ProtocolViolation' }
        @{ Name = 'a refusal longer than what is read of it'; Status = '400 No'; Headers = 'Content-Type: text/plain'; Body = 'x{cut}'; Ids = 'InvalidArgument' }
    ) {
        Set-Answer $echo $Status $_['Headers'] $_['Body']
        Confirm-NoSecret 'Connect-UssServer @atEcho' "$Ids,Connect-UssServer"
        Set-Answer $echo $Status $_['Headers'] $_['Body'] -SignsIn
        Confirm-NoSecret 'Get-UssPackageVersion app @atEcho' "$Ids,Get-UssPackageVersion"
        # The text of a page is what this cmdlet was asked for; JSON is data, in which nothing is changed.
        $invoked = if ($Status -notlike '200*') { "$Ids,Invoke-UssMethod" }
        if (-not "$($_['Headers'])".Contains('json') -or $invoked) {
            Confirm-NoSecret 'Invoke-UssMethod "/api/v1/x?token=$([uri]::EscapeDataString($token))" DELETE @atEcho' $invoked
        }
        Confirm-NoSecret 'Copy-UssPackageFromServer app -SourceServer $urlA -SourceCredential $atA.Credential @atEcho' "$Ids,Copy-UssPackageFromServer"
        $tokens = if ($Ids -eq 'PackageAlreadyExists') { 'TooManyTokens' } else { $Ids }
        Confirm-NoSecret 'Copy-UssPersonalToken x -Name y -Server $echo -Credential $person' "$tokens,Copy-UssPersonalToken"
        Set-Answer $echo $Status $_['Headers'] $_['Body']
        Confirm-NoSecret 'New-UssPersonalToken x -Server $echo -Credential $person' "$Ids,New-UssPersonalToken"
        Get-CanaryTraffic $echo | Should -Match 'personalToken=.*%2F'
        Get-CanaryTraffic $echo | Should -Match ([regex]::Escape("Bearer $evil"))
    }
}

# Where another process can be looked into.
if ($IsLinux) {
    Describe 'The memory of a process' {
        It 'holds a password no longer than the secure string and the request' {
            $used = "`$null = Get-UssPersonalToken -Server '$($a.Url)' -Credential `$c; try { `$null = Get-UssPersonalToken -Server '$($b.Url)' -Credential `$c -ErrorAction Stop } catch { `$Error.Clear() }"
            $part = $a.Password.Substring(8, 28)
            $parts = $part, [System.Text.Encoding]::Latin1.GetString([System.Text.Encoding]::Unicode.GetBytes($part))
            $found = Measure-CanaryShell $module $a.Password $used $parts
            "$(foreach ($part in $parts) { $found[$part] })" | Should -Be '0 0'
        }

        It 'holds the token no longer than the secure string, the connection and the request' {
            # The last sign-in is refused: no later request writes over what it left.
            $used = "`$null = Connect-UssServer '$($a.Url)' `$c; `$null = Get-UssPackage; Get-UssPackage -Server '$($a.Url)' -Credential `$c; Disconnect-UssServer; try { Connect-UssServer '$($b.Url)' `$c } catch { `$Error.Clear() }"
            $latin1 = [System.Text.Encoding]::Latin1
            $parts = foreach ($text in $a.Token, [System.Uri]::EscapeDataString($a.Token)) { $text.Substring(10, 40) }
            $parts += foreach ($part in $parts) { $latin1.GetString([System.Text.Encoding]::Unicode.GetBytes($part)) }
            $leak = Measure-CanaryShell $module $a.Token '$t = $c.GetNetworkCredential().Password' $parts
            $leak[$parts[2]] | Should -BeGreaterThan 0 -Because 'a .NET string is there until it is collected'
            $found = Measure-CanaryShell $module $a.Token $used $parts
            "$(foreach ($part in $parts) { $found[$part] })" | Should -Be '0 0 0 0' -Because 'plain and percent-encoded, as UTF-8 and as UTF-16'
        }
    }
}

Describe 'What a server keeps' {
    It 'no token and no bearer is at rest, and no question that holds one is logged' {
        $secrets = Get-Secret
        # The tests above did reach the servers, and did get bearers.
        @($secrets.Keys -like 'bearer [0-9]*').Count | Should -BeGreaterThan 3
        Confirm-NoSecretAtRest $secrets $servers.Values.Data
        $servers.Values | Stop-UssTestServer
        foreach ($server in $a, $b) {
            $log = $server.Log.Result
            $log | Should -Match 'POST.*authenticate'
            $log | Should -Match 'TRACE|DEBUG'
            $log | Should -Not -Match 'personalToken=|username=|\?packageId='
            Find-Canary $secrets $log | Should -BeNullOrEmpty
        }
        Find-Canary $secrets $tls.Log.Result | Should -BeNullOrEmpty
    }
}
