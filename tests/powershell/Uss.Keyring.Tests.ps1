# Tokens in the keyring: kept, found in a later session when nothing else gives a credential, forgotten; and a keyring
# that is locked, missing or slow. Each script runs in a PowerShell of its own, as a user's next session would.

. $PSScriptRoot/Platform.ps1

BeforeDiscovery {
    . $PSScriptRoot/Keyring.ps1
    $absent = -not (Test-UssTestKeyring)
}

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    . $PSScriptRoot/Keyring.ps1
    $module = $env:USS_TEST_MODULE
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-keyring-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $a = Start-UssTestServer $folder 'anna'
    $b = Start-UssTestServer $folder 'bert'
    Add-UssTestPackage $a 'app' '1.0.0' | Out-Null
    Add-UssTestPackage $b 'lib' '2.0.0' | Out-Null
    $keyrings = [System.Collections.ArrayList] @()

    function New-Keyring {
        $keyring = Start-UssTestKeyring
        [void] $keyrings.Add($keyring)
        $keyring
    }

    function Invoke-Session {
        # A script's output lines in a session that has this environment. $anna and $bert are credentials, which come by
        # stdin: a command line would be read by everybody. An error is a line, too.
        param([hashtable] $Environment, [string] $Script)
        $start = [System.Diagnostics.ProcessStartInfo]::new([System.Environment]::ProcessPath)
        $read = "function Read-Secret { `$s = [securestring]::new(); foreach (`$c in [Console]::In.ReadLine().ToCharArray()) { `$s.AppendChar(`$c) }; `$s }
            `$anna = [pscredential]::new('anna', (Read-Secret)); `$bert = [pscredential]::new('bert', (Read-Secret)); `$me = [pscredential]::new('anna', (Read-Secret))
            Import-Module '$module'; `$a = '$($a.Url)'; `$b = '$($b.Url)'
            try { $Script } catch { `"failed `$(`$_.FullyQualifiedErrorId)`"; `"`$_`"; `$_.ErrorDetails.RecommendedAction }"
        foreach ($argument in '-NoLogo', '-NoProfile', '-NonInteractive', '-Command', $read) { $start.ArgumentList.Add($argument) }
        foreach ($name in 'DBUS_SESSION_BUS_ADDRESS', 'DISPLAY', 'XDG_DATA_HOME') { [void] $start.Environment.Remove($name) }
        foreach ($name in $Environment.Keys) { $start.Environment[$name] = $Environment[$name] }
        $start.RedirectStandardInput = $start.RedirectStandardOutput = $start.RedirectStandardError = $true
        $process = [System.Diagnostics.Process]::Start($start)
        foreach ($secret in $a.Token, $b.Token, $a.Password) { $process.StandardInput.WriteLine($secret) }
        $process.StandardInput.Close()
        $errors = $process.StandardError.ReadToEndAsync()
        $output = $process.StandardOutput.ReadToEnd()
        $process.WaitForExit()
        $text = $output + $errors.Result
        foreach ($secret in $a.Token, $b.Token, $a.Password) { $text | Should -Not -Match ([regex]::Escape($secret)) }
        $errors.Result.Trim() | Should -BeNullOrEmpty
        @($output -split '\r?\n' | Where-Object { $_ })
    }
}

AfterAll {
    $keyrings | Stop-UssTestKeyring
    $a, $b | Stop-UssTestServer
    Remove-Item $folder -Recurse -Force
}

if ($onUnix) {
    Describe 'A token in the keyring' -Skip:$absent {
        It 'is kept by -Remember, found by the next session, and gone after -Forget' {
            $keyring = New-Keyring
            Invoke-Session $keyring.Environment '(Connect-UssServer $a $anna -Remember).UserName' | Should -Be 'anna'
            @(Find-UssTestKeyringItem $keyring $a.Url).Count | Should -Be 1
            Invoke-Session $keyring.Environment '(Get-UssPackage -Server $a).Id; (Connect-UssServer $a).UserName; (Get-UssPackage).Id; (Get-UssPackage -Server $a).Id' |
                Should -Be 'app', 'anna', 'app', 'app'
            Invoke-Session $keyring.Environment 'Disconnect-UssServer $a -Forget; Get-UssPackage -Server $a -ErrorAction Stop' | Select-Object -First 1 |
                Should -Be 'failed CredentialMissing,Get-UssPackage'
            @(Find-UssTestKeyringItem $keyring $a.Url).Count | Should -Be 0
            # Once more is no error; a connection that is not there is, without -Forget.
            Invoke-Session $keyring.Environment 'Disconnect-UssServer $a -Forget; "fine"; Disconnect-UssServer $a' | Select-Object -First 2 |
                Should -Be 'fine', 'failed NotConnected,Disconnect-UssServer'
        }

        It 'is for its own server alone' {
            $keyring = New-Keyring
            Invoke-Session $keyring.Environment '$null = Connect-UssServer $a $anna -Remember; Get-UssPackage -Server $b -ErrorAction Stop' | Select-Object -First 1 |
                Should -Be 'failed CredentialMissing,Get-UssPackage'
            Get-UssTestCount $b 'POST /api/v1/PersonalTokens/authenticate' | Should -Be 0
        }

        It 'serves both ends of a copy' {
            $keyring = New-Keyring
            Invoke-Session $keyring.Environment '$null = Connect-UssServer $a $anna -Remember; $null = Connect-UssServer $b $bert -Remember' | Should -BeNullOrEmpty
            Invoke-Session $keyring.Environment '(Copy-UssPackageFromServer app -SourceServer $a -Server $b -WhatIf).Status' | Select-Object -Last 1 | Should -Be 'WouldCopy'
        }

        It 'is the last place that is looked at: an argument, a connection and the environment come first' {
            $keyring = New-Keyring
            $revoked = Invoke-UssServerProgram token create --user anna --name 'in the keyring' --data $a.Data
            $id = @(Invoke-UssServerProgram token list --user anna --data $a.Data | Where-Object { $_ -match 'in the keyring' })[-1] -split '\s+' | Select-Object -First 1
            $script = '$s = [securestring]::new(); foreach ($c in $env:REVOKED.ToCharArray()) { $s.AppendChar($c) }; $null = Connect-UssServer $a ([pscredential]::new("anna", $s)) -Remember'
            Invoke-Session ($keyring.Environment + @{ REVOKED = $revoked }) $script | Should -BeNullOrEmpty
            Invoke-UssServerProgram token revoke $id --data $a.Data | Out-Null
            $lines = Invoke-Session $keyring.Environment 'Get-UssPackage -Server $a -ErrorAction Stop'
            $lines[0] | Should -Be 'failed AuthenticationFailed,Get-UssPackage'
            $lines[2] | Should -Match 'keyring.*-Forget'
            Invoke-Session $keyring.Environment '(Get-UssPackage -Server $a -Credential $anna).Id; $null = Connect-UssServer $a $anna; (Get-UssPackage -Server $a).Id' | Should -Be 'app', 'app'
            $named = @{ USS_SERVER = $a.Url; USS_USERNAME = 'anna'; USS_PERSONAL_TOKEN = $a.Token }
            Invoke-Session ($keyring.Environment + $named) '(Get-UssPackage -Server $a).Id' | Should -Be 'app'
            # A new one takes its place.
            Invoke-Session $keyring.Environment '$null = Connect-UssServer $a $anna -Remember' | Should -BeNullOrEmpty
            Invoke-Session $keyring.Environment '(Get-UssPackage -Server $a).Id' | Should -Be 'app'
            @(Find-UssTestKeyringItem $keyring $a.Url).Count | Should -Be 1
        }

        It 'is not kept when it does not sign in' {
            $keyring = New-Keyring
            Invoke-Session $keyring.Environment 'Connect-UssServer $a $bert -Remember' | Select-Object -First 1 | Should -Be 'failed AuthenticationFailed,Connect-UssServer'
            @(Find-UssTestKeyringItem $keyring $a.Url).Count | Should -Be 0
        }

        It 'is no file' {
            $keyring = New-Keyring
            Invoke-Session $keyring.Environment '$null = Connect-UssServer $a $anna -Remember' | Should -BeNullOrEmpty
            # The keyring's own is encrypted.
            $files = @(Get-ChildItem $keyring.Environment['HOME'] -Recurse -File -Force | Where-Object Length -GT 0) # a socket has no length
            "$($files.Name)" | Should -Match 'login.keyring'
            foreach ($file in $files) {
                [System.Text.Encoding]::Latin1.GetString([System.IO.File]::ReadAllBytes($file.FullName)) | Should -Not -Match ([regex]::Escape($a.Token)) -Because $file.FullName
            }
        }
    }
}

if ($onUnix) {
    Describe 'A keyring that is <Name>' -Skip:$absent -ForEach @(
        @{ Name = 'locked'; Says = 'locked'; Break = { param($keyring) Lock-UssTestKeyring $keyring } }
        @{ Name = 'slow'; Says = 'within 3 s'; Break = { param($keyring) & kill -STOP $keyring.Daemon.Id } }
    ) {
        It 'is one error that says so, where a token has to come from it' {
            $keyring = New-Keyring
            Invoke-Session $keyring.Environment '$null = Connect-UssServer $a $anna -Remember' | Should -BeNullOrEmpty
            & $Break $keyring
            foreach ($script in 'Get-UssPackage -Server $a -ErrorAction Stop', 'Connect-UssServer $a', 'Disconnect-UssServer $a -Forget', 'Connect-UssServer $a $anna -Remember') {
                $lines = Invoke-Session $keyring.Environment $script
                $lines[0] | Should -Be "failed KeyringUnavailable,$(($script -split ' ')[0])"
                $lines[1] | Should -Match $Says
                $lines[2] | Should -Match '-Credential'
            }
            # A failed -Remember makes no connection; a failed -Forget ends the one that there is.
            Invoke-Session $keyring.Environment 'try { Connect-UssServer $a $anna -Remember } catch { "failed" }; @(Get-UssConnection).Count' | Should -Be 'failed', '0'
            Invoke-Session $keyring.Environment '$null = Connect-UssServer $a $anna; try { Disconnect-UssServer -Forget } catch { "failed" }; @(Get-UssConnection).Count' | Should -Be 'failed', '0'
        }

        It 'is in nobody''s way who has a credential, or needs none' {
            $keyring = New-Keyring
            & $Break $keyring
            Invoke-Session $keyring.Environment '(Get-UssPackage -Server $a -Credential $anna).Id; (Connect-UssServer $a $anna).UserName; (Get-UssPackage).Id' | Should -Be 'app', 'anna', 'app'
            Invoke-Session $keyring.Environment '(Invoke-UssMethod /api/v1/Settings/server -Server $a).GetType().Name' | Should -Be 'PSCustomObject'
        }
    }
}

if ($onUnix) {
    Describe 'Without a keyring' {
        It 'a token cannot be kept, and a server that wants a credential says that one is missing' {
            $nothing = @{ HOME = $folder; XDG_RUNTIME_DIR = (Join-Path $folder 'nowhere') }
            $lines = Invoke-Session $nothing 'Get-UssPackage -Server $a -ErrorAction Stop'
            $lines[0] | Should -Be 'failed CredentialMissing,Get-UssPackage'
            foreach ($script in 'Connect-UssServer $a $anna -Remember', 'Disconnect-UssServer $a -Forget') {
                $lines = Invoke-Session $nothing $script
                $lines[0] | Should -Be "failed KeyringUnavailable,$(($script -split ' ')[0])"
                $lines[1] | Should -Match 'there is none'
            }
            Invoke-Session $nothing '(Get-UssPackage -Server $a -Credential $anna).Id' | Should -Be 'app'
        }
    }
}

if (-not $onUnix) {
    Describe 'A token in Credential Manager' {
        It 'is kept by -Remember, found by the next session, and gone after -Forget' {
            Invoke-Session @{} '(Connect-UssServer $a $anna -Remember).UserName' | Should -Be 'anna'
            Invoke-Session @{} '(Get-UssPackage -Server $a).Id; (Connect-UssServer $a).UserName; (Get-UssPackage).Id' | Should -Be 'app', 'anna', 'app'
            Invoke-Session @{} 'Get-UssPackage -Server $b -ErrorAction Stop' | Select-Object -First 1 | Should -Be 'failed CredentialMissing,Get-UssPackage'
            Invoke-Session @{} 'Disconnect-UssServer $a -Forget; Get-UssPackage -Server $a -ErrorAction Stop' | Select-Object -First 1 |
                Should -Be 'failed CredentialMissing,Get-UssPackage'
            # Once more is no error.
            Invoke-Session @{} 'Disconnect-UssServer $a -Forget; "fine"' | Should -Be 'fine'
        }

        It 'serves both ends of a copy, and is not kept when it does not sign in' {
            Invoke-Session @{} 'Connect-UssServer $a $bert -Remember' | Select-Object -First 1 | Should -Be 'failed AuthenticationFailed,Connect-UssServer'
            Invoke-Session @{} 'Get-UssPackage -Server $a -ErrorAction Stop' | Select-Object -First 1 | Should -Be 'failed CredentialMissing,Get-UssPackage'
            Invoke-Session @{} '$null = Connect-UssServer $a $anna -Remember; $null = Connect-UssServer $b $bert -Remember' | Should -BeNullOrEmpty
            Invoke-Session @{} '(Copy-UssPackageFromServer app -SourceServer $a -Server $b -WhatIf).Status' | Select-Object -Last 1 | Should -Be 'WouldCopy'
            Invoke-Session @{} 'Disconnect-UssServer $a -Forget; Disconnect-UssServer $b -Forget; "fine"' | Should -Be 'fine'
        }

        It 'fits to the last byte of an entry, and is refused with one byte more before anything is kept' {
            . $PSScriptRoot/Canary.ps1
            # A server that signs in anybody, and tells who that is.
            $echo = Start-CanaryTap
            $head = "HTTP/1.1 200 OK`r`nContent-Type: application/json`r`nConnection: close`r`n`r`n"
            $echo.Answers.Text = "$head{`"user`":{}}"
            $echo.Answers.Bearer = 'a.b.c'
            $keep = '$s = [securestring]::new(); foreach ($n in 1..LENGTH) { $s.AppendChar("x") }; $null = Connect-UssServer URL ([pscredential]::new("anna", $s)) -Remember; "kept"'.Replace('URL', $echo.Url)
            $use = "(Connect-UssServer $($echo.Url)).UserName"
            try {
                # "anna", a line feed and the token in 2,560 bytes.
                $refused = Invoke-Session @{} $keep.Replace('LENGTH', '2556')
                $refused[0] | Should -Be 'failed InvalidArgument,Connect-UssServer'
                $refused[1] | Should -Match '2561 bytes.* 2560'
                $before = (Get-CanaryTraffic $echo).Length
                (Invoke-Session @{} $use)[0] | Should -Be 'failed CredentialMissing,Connect-UssServer'
                (Get-CanaryTraffic $echo).Length | Should -Be $before
                Invoke-Session @{} $keep.Replace('LENGTH', '2555') | Should -Be 'kept'
                $before = (Get-CanaryTraffic $echo).Length
                Invoke-Session @{} $use | Should -Be 'anna'
                (Get-CanaryTraffic $echo).Substring($before) | Should -Match 'personalToken=x{2555}\b'
                Invoke-Session @{} "Disconnect-UssServer $($echo.Url) -Forget; 'gone'" | Should -Be 'gone'
            }
            finally { $echo | Stop-CanaryTap }
        }
    }
}

Describe 'The credential of the environment' {
    if ($IsLinux) {
        It 'is read natively: the token is in no string that .NET made of it' {
            . $PSScriptRoot/Canary.ps1
            # Set for the process alone, and looked for as UTF-16, which .NET's strings are.
            $start = [System.Diagnostics.ProcessStartInfo]::new([System.Environment]::ProcessPath)
            $script = "Import-Module '$module'; `$null = Connect-UssServer; (Get-UssPackage).Id; [void] [Console]::In.ReadLine()"
            foreach ($argument in '-NoLogo', '-NoProfile', '-NonInteractive', '-Command', $script) { $start.ArgumentList.Add($argument) }
            $start.Environment['USS_SERVER'], $start.Environment['USS_USERNAME'], $start.Environment['USS_PERSONAL_TOKEN'] = $a.Url, 'anna', $a.Token
            $start.RedirectStandardInput = $start.RedirectStandardOutput = $true
            $process = [System.Diagnostics.Process]::Start($start)
            try {
                $process.StandardOutput.ReadLine() | Should -Be 'app'
                $latin1 = [System.Text.Encoding]::Latin1
                $utf16 = $latin1.GetString([System.Text.Encoding]::Unicode.GetBytes($a.Token.Substring(10, 40)))
                $found = Measure-CanaryMemory $process.Id $utf16
                $found.Bytes | Should -BeGreaterThan 10MB
                $found[$utf16] | Should -Be 0
            }
            finally {
                $process.StandardInput.Close()
                $process.WaitForExit()
            }
        }
    }

    if ($onUnix) {
        It 'that only .NET has is an error that says so' {
            $lines = Invoke-Session @{ USS_SERVER = $a.Url; USS_USERNAME = 'anna' } '$env:USS_PERSONAL_TOKEN = "x"; Get-UssPackage -ErrorAction Stop'
            $lines[0] | Should -Be 'failed InvalidArgument,Get-UssPackage'
            $lines[1] | Should -Match 'USS_PERSONAL_TOKEN is set inside this PowerShell alone'
            $lines[2] | Should -Match 'before PowerShell starts'
        }
    }

    It 'that nobody set is another error' {
        $lines = Invoke-Session @{ USS_SERVER = $a.Url; USS_USERNAME = 'anna' } 'Get-UssPackage -ErrorAction Stop'
        $lines[0] | Should -Be 'failed InvalidArgument,Get-UssPackage'
        $lines[1] | Should -Match "no variable 'USS_PERSONAL_TOKEN'"
    }
}
