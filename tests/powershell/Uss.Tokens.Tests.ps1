# The life of a personal token, as a person manages it with a password; and what is refused, with nothing changed.

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    Import-Module $env:USS_TEST_MODULE -Force
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-tokens-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $a = Start-UssTestServer $folder 'anna'
    Add-UssTestPackage $a 'app' '1.0.0' | Out-Null
    $other = New-UssTestCredential 'otto' (Add-UssTestUser $a.Data 'otto')
    $at = @{ Server = $a.Url; Credential = $a.Person }
    $otto = @{ Server = $a.Url; Credential = $other }

    function Confirm-Error {
        # What every error has.
        param($Failure, [string] $Id, [string] $Category)
        $Failure.FullyQualifiedErrorId | Should -Be $Id -Because "$Failure"
        $Failure.CategoryInfo.Category | Should -Be $Category
        $Failure.ErrorDetails.RecommendedAction | Should -Not -BeNullOrEmpty -Because "$Failure"
        "$Failure".Length | Should -BeLessThan 1500
        foreach ($secret in $a.Password, $a.Token) { "$Failure $($Failure.ErrorDetails.RecommendedAction)" | Should -Not -Match ([regex]::Escape($secret)) }
    }

    function Get-State {
        # All that is known of a person's tokens, but when they were used.
        Get-UssPersonalToken @at | Select-Object Id, Name, Description, Status, Created, Expires, Kind | ConvertTo-Json -Depth 3
    }

    function Test-Value {
        # Whether a token's value signs in.
        param([securestring] $Value, [string] $User = 'anna')
        try { $null = Get-UssPackage -Server $a.Url -Credential ([pscredential]::new($User, $Value)) -ErrorAction Stop; $true }
        catch { if ($_.FullyQualifiedErrorId -notlike 'AuthenticationFailed,*') { throw }; $false }
    }
}

AfterEach {
    @(Get-UssConnection) | ForEach-Object { Disconnect-UssServer $_ }
    Get-UssPersonalToken @at | Where-Object Name -NotLike 'test *' | Remove-UssPersonalToken -Force @at
    $left = Wait-UssNativeIdle
    "$($left.Connections) $($left.Operations) $($left.Buffers) $($left.Secrets) $($left.Tasks)" | Should -Be '0 0 0 0 0'
}

AfterAll {
    $a | Stop-UssTestServer
    Remove-Item $folder -Recurse -Force
}

Describe 'A token' {
    It 'is made, and its value is a secure string that signs in' {
        $before = [datetime]::UtcNow.AddSeconds(-2)
        $ends = [datetime]::UtcNow.Date.AddDays(90).AddHours(3)
        $token = New-UssPersonalToken 'ci' 'for the build' -Expires $ends @at
        $token.PSTypeNames | Should -Contain 'Uss.PersonalToken'
        $token.Name, $token.Description, $token.Status, $token.Kind | Should -Be 'ci', 'for the build', 'Active', 'personal'
        $token.Expires | Should -Be $ends
        $token.Expires.Kind | Should -Be 'Utc'
        $token.Created | Should -BeGreaterThan $before
        $token.LastUsed | Should -BeNullOrEmpty
        $token.Value | Should -BeOfType ([securestring])
        $token.Value.IsReadOnly() | Should -BeTrue
        $token.Value.Length | Should -Be 88
        Test-Value $token.Value | Should -BeTrue
        $listed = Get-UssPersonalToken $token.Id @at
        $listed.PSObject.Properties.Name | Should -Be 'Id', 'Name', 'Description', 'Status', 'Created', 'Expires', 'LastUsed', 'LastUsedFrom', 'Kind'
        $listed.PSTypeNames[0] | Should -Be 'Uss.PersonalToken'
        $listed.LastUsed | Should -BeGreaterThan $before.AddMinutes(-2)
        $listed.LastUsedFrom | Should -Be '127.0.0.1'
    }

    It 'is plain text only when that is asked for' {
        $token = New-UssPersonalToken 'plain' -AsPlainText @at
        $token.Value | Should -BeOfType ([string])
        $token.Value | Should -Match '^[A-Za-z0-9+/]{86}==$'
        Test-Value (ConvertTo-SecureString $token.Value -AsPlainText -Force) | Should -BeTrue
        # Whole, however narrow the console is.
        ($token | Out-String -Width 200) | Should -Match ([regex]::Escape($token.Value))
    }

    It 'ends when it should, in whatever kind of time that is said' {
        $utc = [datetime]::new(2099, 5, 6, 7, 8, 9, [System.DateTimeKind]::Utc)
        $local = $utc.ToLocalTime()
        $plain = [datetime]::new($local.Ticks, [System.DateTimeKind]::Unspecified)
        foreach ($time in $utc, $local, $plain) { (New-UssPersonalToken 'ends' -Expires $time @at).Expires | Should -Be $utc }
        (New-UssPersonalToken 'ends' -Expires '2099-05-06' @at).Expires | Should -Be ([datetime] '2099-05-06').ToUniversalTime()
    }

    It 'is changed, and what is not named stays' {
        $token = New-UssPersonalToken 'before' 'why' -Expires '2099-01-01' @at
        $changed = Set-UssPersonalToken $token.Id -Name 'after' @at
        $changed.Name, $changed.Description, $changed.Expires | Should -Be 'after', 'why', $token.Expires
        ($token | Set-UssPersonalToken -Description '' @at).Description | Should -BeNullOrEmpty
        ($token | Set-UssPersonalToken -NeverExpires @at).Expires | Should -BeNullOrEmpty
        ($token | Set-UssPersonalToken -Expires '2098-01-01' @at).Expires | Should -Be ([datetime] '2098-01-01').ToUniversalTime()
        Test-Value $token.Value | Should -BeTrue
    }

    It 'gets a new value, and the old one is refused' {
        $token = New-UssPersonalToken 'lost' 'why' @at
        Test-Value $token.Value | Should -BeTrue
        $again = $token | Reset-UssPersonalToken -Force @at
        $again.Id, $again.Name, $again.Description | Should -Be $token.Id, 'lost', 'why'
        Test-Value $token.Value | Should -BeFalse
        Test-Value $again.Value | Should -BeTrue
    }

    It 'is copied, and both sign in' {
        $token = New-UssPersonalToken 'one' 'why' -Expires '2099-01-01' @at
        $copy = Copy-UssPersonalToken $token.Id -Name 'two' @at
        $copy.Id | Should -Not -Be $token.Id
        $copy.Name, $copy.Description, $copy.Expires | Should -Be 'two', 'why', $token.Expires
        (Test-Value $token.Value), (Test-Value $copy.Value) | Should -Be $true, $true
    }

    It 'is revoked, with the sign-ins that it made' {
        $token = New-UssPersonalToken 'leaked' @at
        Connect-UssServer $a.Url ([pscredential]::new('anna', $token.Value)) | Out-Null
        (Get-UssPackage).Id | Should -Be 'app'
        ($token | Revoke-UssPersonalToken -Force @at).Status | Should -Be 'Revoked'
        (Get-OnlyError { Get-UssPackage }).FullyQualifiedErrorId | Should -Be 'AuthenticationFailed,Get-UssPackage'
        (Get-UssPersonalToken $token.Id @at).Status | Should -Be 'Revoked'
    }

    It 'is removed, several at once' {
        $tokens = 1..3 | ForEach-Object { New-UssPersonalToken "gone $_" @at }
        $tokens | Remove-UssPersonalToken -Force @at | Should -BeNullOrEmpty
        Get-UssPersonalToken -Name 'gone*' @at | Should -BeNullOrEmpty
        Test-Value $tokens[1].Value | Should -BeFalse
    }

    It 'is found by its id, its name and a pattern' {
        $token = New-UssPersonalToken 'find me' @at
        (Get-UssPersonalToken $token.Id.ToUpperInvariant() @at).Name | Should -Be 'find me'
        (Get-UssPersonalToken -Name 'FIND ME' @at).Id | Should -Be $token.Id
        (Get-UssPersonalToken -Name 'find*' @at).Id | Should -Be $token.Id
        Get-UssPersonalToken -Name 'nothing*' @at | Should -BeNullOrEmpty
        @(Get-UssPersonalToken @at).Count | Should -BeGreaterThan 1
    }

    It 'is named by an id, an object or a hashtable' {
        $token = New-UssPersonalToken 'input' @at
        ($token.Id | Set-UssPersonalToken -Name 'a' @at).Name | Should -Be 'a'
        (@{ Id = $token.Id } | Set-UssPersonalToken -Name 'b' @at).Name | Should -Be 'b'
        ([pscustomobject] @{ Id = $token.Id; Name = 'x' } | Set-UssPersonalToken -Name 'c' @at).Name | Should -Be 'c'
    }

    It 'of another person stays hidden and untouched' {
        $theirs = New-UssPersonalToken 'theirs' @otto
        Get-UssPersonalToken -Name 'theirs*' @at | Should -BeNullOrEmpty
        foreach ($act in { Set-UssPersonalToken $theirs.Id -Name 'mine' @at }, { Reset-UssPersonalToken $theirs.Id -Force @at }, { Copy-UssPersonalToken $theirs.Id @at },
            { Revoke-UssPersonalToken $theirs.Id -Force @at }, { Remove-UssPersonalToken $theirs.Id -Force @at }, { Get-UssPersonalToken $theirs.Id @at }) {
            (Get-OnlyError $act).FullyQualifiedErrorId | Should -BeLike 'TokenNotFound,*-UssPersonalToken'
        }
        (Get-UssPersonalToken $theirs.Id @otto).Name, (Get-UssPersonalToken $theirs.Id @otto).Status | Should -Be 'theirs', 'Active'
        Test-Value $theirs.Value 'otto' | Should -BeTrue
        $theirs | Remove-UssPersonalToken -Force @otto
    }
}

Describe 'Before something is done' {
    It '-WhatIf does nothing' {
        $token = New-UssPersonalToken 'stays' @at
        $state = Get-State
        New-UssPersonalToken 'never' -WhatIf @at | Should -BeNullOrEmpty
        foreach ($act in { $token | Set-UssPersonalToken -Name 'x' -WhatIf @at }, { $token | Reset-UssPersonalToken -WhatIf @at }, { $token | Copy-UssPersonalToken -WhatIf @at },
            { $token | Revoke-UssPersonalToken -WhatIf @at }, { $token | Remove-UssPersonalToken -WhatIf @at }) { & $act | Should -BeNullOrEmpty }
        Get-State | Should -Be $state
        Test-Value $token.Value | Should -BeTrue
    }

    It 'what cannot be undone asks, and names the token' -ForEach @(
        @{ Cmdlet = 'Reset'; Asks = $true }, @{ Cmdlet = 'Revoke'; Asks = $true }, @{ Cmdlet = 'Remove'; Asks = $true }
        @{ Cmdlet = 'New'; Asks = $false }, @{ Cmdlet = 'Set'; Asks = $false }, @{ Cmdlet = 'Copy'; Asks = $false }
    ) {
        $attribute = (Get-Command "$Cmdlet-UssPersonalToken").ScriptBlock.Attributes | Where-Object { $_ -is [System.Management.Automation.CmdletBindingAttribute] }
        $attribute.SupportsShouldProcess | Should -BeTrue
        $attribute.ConfirmImpact | Should -Be $(if ($Asks) { 'High' } else { 'Medium' })
        if (-not $Asks) { return }
        $token = New-UssPersonalToken 'ask me' @at
        # A shell that cannot ask fails instead of going on.
        $script = "Import-Module '$env:USS_TEST_MODULE'; `$secret = [securestring]::new(); foreach (`$c in [Console]::In.ReadLine().ToCharArray()) { `$secret.AppendChar(`$c) }
            $Cmdlet-UssPersonalToken '$($token.Id)' -Server '$($a.Url)' -Credential ([pscredential]::new('anna', `$secret))"
        $start = [System.Diagnostics.ProcessStartInfo]::new([System.Environment]::ProcessPath)
        foreach ($argument in '-NoLogo', '-NoProfile', '-NonInteractive', '-Command', $script) { $start.ArgumentList.Add($argument) }
        $start.RedirectStandardInput = $start.RedirectStandardOutput = $start.RedirectStandardError = $true
        $process = [System.Diagnostics.Process]::Start($start)
        $process.StandardInput.WriteLine($a.Password)
        $process.StandardInput.Close()
        $errors = $process.StandardError.ReadToEndAsync()
        [void] $process.StandardOutput.ReadToEnd()
        $process.WaitForExit()
        $errors.Result | Should -Not -BeNullOrEmpty
        (Get-UssPersonalToken $token.Id @at).Status | Should -Be 'Active'
        Test-Value $token.Value | Should -BeTrue
    }
}

Describe 'What is refused changes nothing' {
    BeforeAll { $kept = New-UssPersonalToken 'test kept' 'why' -Expires '2099-01-01' @at }
    BeforeEach { $state = Get-State }
    AfterEach { Get-State | Should -Be $state }

    It '<Name>' -ForEach @(
        @{ Name = 'an empty name'; Script = { New-UssPersonalToken '' @at } }
        @{ Name = 'a name of blanks'; Script = { New-UssPersonalToken '  ' @at } }
        @{ Name = 'a name of 10,000 characters'; Script = { New-UssPersonalToken ('n' * 10000) @at } }
        @{ Name = 'a name of two lines'; Script = { New-UssPersonalToken "two`nlines" @at } }
        @{ Name = 'a name with a NUL'; Script = { New-UssPersonalToken "a`0b" @at } }
        @{ Name = 'a name that holds a script'; Script = { New-UssPersonalToken '<script>alert(1)</script>' @at } }
        @{ Name = 'a new name that holds markup'; Script = { $kept | Set-UssPersonalToken -Name '<b>kept</b>' @at } }
        @{ Name = 'a description of 10,000 characters'; Script = { New-UssPersonalToken 'x' ('d' * 10000) @at } }
        @{ Name = 'an end that is past'; Script = { New-UssPersonalToken 'x' -Expires '2020-01-01' @at } }
        @{ Name = 'an end at the beginning of time'; Script = { New-UssPersonalToken 'x' -Expires ([datetime]::MinValue) @at } }
        @{ Name = 'an empty new name'; Script = { $kept | Set-UssPersonalToken -Name '' -Description 'other' @at } }
        @{ Name = 'a new name of 10,000 characters'; Script = { $kept | Set-UssPersonalToken -Name ('n' * 10000) @at } }
        @{ Name = 'a new end that is past'; Script = { $kept | Set-UssPersonalToken -Expires '2020-01-01' @at } }
        @{ Name = 'no change at all'; Script = { $kept | Set-UssPersonalToken @at } }
        @{ Name = 'an end and none'; Script = { $kept | Set-UssPersonalToken -Expires '2099-01-01' -NeverExpires @at } }
        @{ Name = 'a copy whose end is past'; Script = { $kept | Copy-UssPersonalToken -Expires '2020-01-01' @at } }
        @{ Name = 'an element without an id'; Script = { @{ Nome = 'x' } | Revoke-UssPersonalToken -Force @at } }
        @{ Name = 'a string in place of a credential'; Script = { New-UssPersonalToken 'x' -Server $a.Url -Credential 'secret' } }
        @{ Name = 'an empty password'; Script = { New-UssPersonalToken 'x' -Server $a.Url -Credential (New-UssTestCredential 'anna' '') } }
    ) {
        $failure = Get-OnlyError $Script
        Confirm-Error $failure "InvalidArgument,$(if ("$Script" -match '(\w+-UssPersonalToken)') { $Matches[1] })" 'InvalidArgument'
    }

    It 'a token in place of a password' {
        Confirm-Error (Get-OnlyError { New-UssPersonalToken 'x' -Server $a.Url -Credential $a.Credential }) 'AuthenticationFailed,New-UssPersonalToken' 'AuthenticationError'
        # Not even with a connection at hand.
        Connect-UssServer $a.Url $a.Credential | Out-Null
        $failure = Get-OnlyError { New-UssPersonalToken 'x' }
        Confirm-Error $failure 'CredentialMissing,New-UssPersonalToken' 'AuthenticationError'
        $failure.ErrorDetails.RecommendedAction | Should -Match 'password'
        $failure = Get-OnlyError { Invoke-UssMethod '/api/v1/PersonalTokens' POST -Body @{ name = 'x' } }
        Confirm-Error $failure 'PermissionDenied,Invoke-UssMethod' 'PermissionDenied'
    }

    It 'a password in place of a token' {
        Confirm-Error (Get-OnlyError { Connect-UssServer $a.Url $a.Person }) 'AuthenticationFailed,Connect-UssServer' 'AuthenticationError'
    }

    It 'a wrong password, with what to do' {
        $failure = Get-OnlyError { New-UssPersonalToken 'x' -Server $a.Url -Credential (New-UssTestCredential 'anna' 'wrong') }
        Confirm-Error $failure 'AuthenticationFailed,New-UssPersonalToken' 'AuthenticationError'
        $failure.ErrorDetails.RecommendedAction | Should -Match 'password'
        $failure.Exception.Data['HttpStatus'] | Should -Be 401
    }

    It 'a token that is not there, beside one that is' {
        $found = Get-UssPersonalToken $kept.Id, 'nothing' @at -ErrorAction SilentlyContinue -ErrorVariable failures
        $found.Name | Should -Be 'test kept'
        $failures[0].FullyQualifiedErrorId | Should -Be 'TokenNotFound,Get-UssPersonalToken'
        $failures[0].TargetObject | Should -Be 'nothing'
        Confirm-Error (Get-OnlyError { Get-UssPersonalToken -Name 'no such' @at }) 'TokenNotFound,Get-UssPersonalToken' 'ObjectNotFound'
        foreach ($id in 'nothing', '..', '../Account', 'a/b?c=1#d') {
            Confirm-Error (Get-OnlyError { Remove-UssPersonalToken $id -Force @at }) 'TokenNotFound,Remove-UssPersonalToken' 'ObjectNotFound'
        }
    }

    It 'no server' {
        (Get-OnlyError { Get-UssPersonalToken -Credential $a.Person }).FullyQualifiedErrorId | Should -Be 'NotConnected,Get-UssPersonalToken'
    }
}

Describe 'The limit of tokens' {
    It 'the 101st token is refused, also as a copy' {
        $full = New-UssTestCredential 'fred' (Add-UssTestUser $a.Data 'fred')
        $his = @{ Server = $a.Url; Credential = $full }
        $tokens = 1..100 | ForEach-Object { New-UssPersonalToken "n $_" @his }
        foreach ($act in { New-UssPersonalToken 'one more' @his }, { Copy-UssPersonalToken $tokens[0].Id @his }) {
            $failure = Get-OnlyError $act
            $failure.FullyQualifiedErrorId | Should -BeLike 'TooManyTokens,*'
            $failure.CategoryInfo.Category | Should -Be 'LimitsExceeded'
        }
        @(Get-UssPersonalToken @his).Count | Should -Be 100
    }
}

Describe 'The end of a token' {
    It 'is warned of within 14 days' -ForEach @(@{ Days = 13; Warns = $true }, @{ Days = 15; Warns = $false }, @{ Days = 0; Warns = $false }) {
        $ends = if ($Days) { @{ Expires = [datetime]::UtcNow.AddDays($Days) } } else { @{} }
        $token = New-UssPersonalToken 'ends' @ends @at
        $output = @(Connect-UssServer $a.Url ([pscredential]::new('anna', $token.Value)) 3>&1)
        $warnings = @($output | Where-Object { $_ -is [System.Management.Automation.WarningRecord] })
        $warnings.Count | Should -Be ([int] $Warns)
        $connection = $output | Where-Object { $_ -isnot [System.Management.Automation.WarningRecord] }
        $connection.PersonalTokenExpires | Should -Be $token.Expires
        if ($Warns) { "$warnings" | Should -Match ([regex]::Escape($a.Url)) }
    }

    It 'is said to be unknown where the server does not tell it' {
        $routes = Join-Path $folder 'no-account.json'
        [System.IO.File]::WriteAllText($routes, '{ "account": { "uri": "/api/v1/nothing" } }')
        $lines = Connect-UssServer $a.Url $a.Credential -RouteFile $routes -Verbose 4>&1 | Where-Object { $_ -is [System.Management.Automation.VerboseRecord] }
        "$lines" | Should -Match 'does not tell when'
        Disconnect-UssServer
        $lines = Connect-UssServer $a.Url $a.Credential -Verbose 4>&1 | Where-Object { $_ -is [System.Management.Automation.VerboseRecord] }
        "$lines" | Should -Not -Match 'does not tell when'
    }
}

Describe 'A client service' {
    It 'connects and reads with its own token for 12 months, and does nothing else' {
        $token = New-UssPersonalToken 'shop 12' -ClientService @at
        $token.Kind | Should -Be 'client-service'
        $months = ($token.Expires - [datetime]::UtcNow).TotalDays
        $months | Should -BeGreaterThan 360
        $months | Should -BeLessThan 370
        $credential = [pscredential]::new('anna', $token.Value)
        (Connect-UssServer $a.Url $credential).UserName | Should -Be 'anna'
        (Get-UssPackageVersion 'app').Version | Should -Be '1.0.0'
        Save-UssPackage 'app' -Path $folder | Should -Not -BeNullOrEmpty
        $new = Join-Path $folder 'new.zip'
        Invoke-UssServerProgram package make --id new --version 1.0.0 --size 100 --out $new | Out-Null
        $failure = Get-OnlyError { Import-UssPackage $new }
        Confirm-Error $failure 'PermissionDenied,Import-UssPackage' 'PermissionDenied'
        "$failure" | Should -Match 'client'
        $failure = Get-OnlyError { Remove-UssPackage 'app' '1.0.0' -Force }
        Confirm-Error $failure 'PermissionDenied,Remove-UssPackage' 'PermissionDenied'
        (Get-UssPackage).Id | Should -Be 'app'
    }
}

Describe 'The session of a password' {
    BeforeAll {
        function Get-Session {
            # How many sessions were begun, and how many of them ended.
            $lines = @(Invoke-UssMethod '/api/v1/Audit?action=session&limit=1000' -Server $a.Url -Credential $a.Credential)
            foreach ($outcome in 'signed in', 'signed out') { @($lines | Where-Object Outcome -EQ $outcome).Count }
        }

        function Stop-WhileListing {
            # Stops a cmdlet when its request has reached the server, and gives its shell and run.
            $before = Get-UssTestCount $a 'GET /api/v1/PersonalTokens'
            $shell = (New-UssTestRunner).AddScript({ param($Module, $At) Import-Module $Module; Get-UssPersonalToken @At })
            $shell = $shell.AddArgument($env:USS_TEST_MODULE).AddArgument($at)
            $run = $shell.BeginInvoke()
            foreach ($try in 1..600) {
                if ((Get-UssTestCount $a 'GET /api/v1/PersonalTokens') -gt $before) { break }
                [System.Threading.Thread]::Sleep(25)
            }
            $shell.Stop()
            @{ Shell = $shell; Run = $run }
        }
    }

    It 'is over when the cmdlet is, whether it failed or not' {
        $begun, $ended = Get-Session
        $ended | Should -Be $begun -Because 'all tests before have ended theirs'
        $null = Get-UssPersonalToken @at
        $null = Get-OnlyError { Get-UssPersonalToken 'nothing' @at }
        Get-Session | Should -Be ($begun + 2), ($ended + 2)
    }

    It 'is over when its process is, which ends right after' {
        $begun, $ended = Get-Session
        $script = "Import-Module '$env:USS_TEST_MODULE'; `$secret = [securestring]::new(); foreach (`$c in `$env:USS_TEST_WORD.ToCharArray()) { `$secret.AppendChar(`$c) }
            (Get-UssPersonalToken -Server '$($a.Url)' -Credential ([pscredential]::new('anna', `$secret))).Count"
        $run = Invoke-UssTestShell $script @{ USS_TEST_WORD = $a.Password }
        $run.Errors | Should -BeNullOrEmpty
        [int] $run.Output | Should -BeGreaterThan 0
        Get-Session | Should -Be ($begun + 1), ($ended + 1)
    }

    It 'of a cmdlet is not ended by another with the same credential' {
        $begun, $ended = Get-Session
        $shells = @(1..4 | ForEach-Object { (New-UssTestRunner).AddScript({
                        param($Module, $At)
                        Import-Module $Module
                        foreach ($turn in 1..5) { $null = Get-UssPersonalToken @At -ErrorAction Stop }
                    }).AddArgument($env:USS_TEST_MODULE).AddArgument($at) })
        try {
            $runs = @(foreach ($shell in $shells) { $shell.BeginInvoke() })
            for ($which = 0; $which -lt 4; $which++) { $null = $shells[$which].EndInvoke($runs[$which]) }
            $shells | ForEach-Object { $_.Streams.Error | Should -BeNullOrEmpty }
        }
        finally { $shells | ForEach-Object { $_.Dispose() } }
        $now, $over = Get-Session
        $over - $ended | Should -Be ($now - $begun)
        $now - $begun | Should -BeGreaterThan 0
        $now - $begun | Should -BeLessOrEqual 20
    }

    It 'is over, too, when the cmdlet is stopped' {
        $begun, $ended = Get-Session
        Add-UssTestFault $a @{ method = 'GET'; path = '/api/v1/PersonalTokens'; action = @{ delay = 5000 } }
        $stopped = Stop-WhileListing
        try { { $stopped.Shell.EndInvoke($stopped.Run) } | Should -Throw }
        finally { $stopped.Shell.Dispose() }
        Get-Session | Should -Be ($begun + 1), ($ended + 1)
    }

    It 'ends without whoever stops a cmdlet while the server is slow to end it' {
        $begun, $ended = Get-Session
        Add-UssTestFault $a @{ method = 'GET'; path = '/api/v1/PersonalTokens'; action = @{ delay = 60000 } }
        Add-UssTestFault $a @{ path = 'signout'; action = @{ delay = 4000 } }
        $stopped = Stop-WhileListing
        try {
            { $stopped.Shell.EndInvoke($stopped.Run) } | Should -Throw
            Get-Session | Should -Be ($begun + 1), $ended -Because 'the prompt is back before the session is over'
        }
        finally { $stopped.Shell.Dispose(); Clear-UssTestFault $a }
        foreach ($try in 1..400) {
            if ((Get-Session)[1] -gt $ended) { break }
            [System.Threading.Thread]::Sleep(25)
        }
        Get-Session | Should -Be ($begun + 1), ($ended + 1)
    }

    It 'that the server does not end is a verbose line' {
        $routes = Join-Path $folder 'no-sign-out.json'
        [System.IO.File]::WriteAllText($routes, '{ "signOut": { "uri": "/api/v1/nothing" } }')
        $output = @(Get-UssPersonalToken @at -RouteFile $routes -Verbose 4>&1)
        $lines = @($output | Where-Object { $_ -is [System.Management.Automation.VerboseRecord] })
        "$lines" | Should -Match 'was not ended'
        $output.Count | Should -BeGreaterThan $lines.Count
    }
}

Describe 'Completion of tokens' {
    It 'completes ids and names, and shows the names' {
        $token = New-UssPersonalToken 'to complete' @at
        $me = $a.Person
        $null = $me
        $found = Get-UssTestCompletion "Get-UssPersonalToken -Server $($a.Url) -Credential `$me -Id "
        $found.CompletionText | Should -Contain $token.Id
        $found.ListItemText | Should -Contain 'to complete'
        (Get-UssTestCompletion "Get-UssPersonalToken -Server $($a.Url) -Credential `$me -Name to").CompletionText | Should -Contain "'to complete'"
    }
}
