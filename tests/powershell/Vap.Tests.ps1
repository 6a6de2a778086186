# Module Vap against a real server: connections, methods, environments, tokens, help, and Uss beside it.

BeforeDiscovery {
    $cmdlets = (Import-PowerShellDataFile (Join-Path (Split-Path $env:USS_TEST_MODULE) 'Vap/Vap.psd1')).FunctionsToExport
}

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    . $PSScriptRoot/Help.ps1
    $module = Join-Path (Split-Path $env:USS_TEST_MODULE) 'Vap'
    Import-Module $module -Force
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "vap-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $a = Start-UssTestServer $folder 'anna' -Arguments '--demo', '--state-time', '1'
    'correct horse battery staple' | Invoke-UssServerProgram user add ada --email ada@example.com --password-stdin --data $a.Data
    $login = New-UssTestCredential 'ada' 'correct horse battery staple'
    $token = New-VapToken 'everything' -Scope 'Extended Access' -Server $a.Url -Credential $login
    $credential = [pscredential]::new('token', $token.Value)
    $atA = @{ Server = $a.Url; Credential = $credential }

    function Get-SentCount {
        # How many calls of the platform's the server has had.
        $counts = Invoke-RestMethod -Uri "$($a.Url)/faults/counts"
        $sum = 0
        foreach ($count in $counts.PSObject.Properties) { if ($count.Name -like 'POST /1.0/*') { $sum += $count.Value } }
        $sum
    }
}

AfterEach {
    # Some of the platforms are gone, and their sessions with them.
    @(Get-VapConnection) | ForEach-Object { Disconnect-VapPlatform $_ -ErrorAction SilentlyContinue }
}

AfterAll {
    $a | Stop-UssTestServer
    Remove-Item $folder -Recurse -Force
}

Describe 'Connections' {
    It 'a token connects, and the other cmdlets need no more' {
        $connection = Connect-VapPlatform $a.Url $credential
        $connection.PSTypeNames[0] | Should -Be 'Vap.Connection'
        $connection.Server | Should -Be $a.Url
        $connection.Email | Should -Be 'ada@example.com'
        $connection.SignedIn | Should -BeFalse
        $connection.Default | Should -BeTrue
        (Get-VapEnvironment).Name | Should -Be 'my-project', 'reports', 'shop-test'
        Disconnect-VapPlatform
        (Get-Failure { Get-VapEnvironment }).FullyQualifiedErrorId | Should -Be 'NotConnected,Get-VapEnvironment'
        $failure = Get-Failure { Connect-VapPlatform -Credential $credential }
        $failure.FullyQualifiedErrorId | Should -Be 'NotConnected,Connect-VapPlatform'
        $failure.ErrorDetails.RecommendedAction | Should -Match '^Name it'
    }

    It 'a wrong token or password is one clear error' {
        $failure = Get-Failure { Connect-VapPlatform $a.Url (New-UssTestCredential 'token' 'canary-of-a-token') }
        $failure.FullyQualifiedErrorId | Should -Be 'Vap.702,Connect-VapPlatform'
        $failure.CategoryInfo.Category | Should -Be 'AuthenticationError'
        "$failure $($failure.ErrorDetails.RecommendedAction)" | Should -Not -Match 'canary'
        $failure = Get-Failure { Connect-VapPlatform $a.Url (New-UssTestCredential 'ada' 'wrong') -SignIn }
        $failure.FullyQualifiedErrorId | Should -Be 'Vap.701,Connect-VapPlatform'
        Get-VapConnection | Should -BeNullOrEmpty
    }

    It 'a credential is a PSCredential, and nothing prompts' {
        (Get-Failure { Connect-VapPlatform $a.Url 'token' }).FullyQualifiedErrorId | Should -Be 'InvalidArgument,Connect-VapPlatform'
        (Get-Failure { Get-VapEnvironment -Server $a.Url -ErrorAction Stop }).FullyQualifiedErrorId | Should -Be 'CredentialMissing,Get-VapEnvironment'
    }

    It 'a credential of the call keeps the options of the connection to the same platform' {
        $certificate, $key = Get-UssTestCertificate $folder
        $tls = Start-UssTestServer $folder 'tina' @('--demo', '--tls-cert', $certificate, '--tls-key', $key)
        try {
            (Get-Failure { New-VapToken 'made' -Scope 'Extended Access' -Server $tls.Url -Credential $tls.Person -ErrorAction Stop }).FullyQualifiedErrorId | Should -Be 'TlsFailed,New-VapToken'
            $null = Connect-VapPlatform $tls.Url $tls.Person -SignIn -SkipCertificateCheck 3>$null
            $made = New-VapToken 'made' -Scope 'Extended Access' -Server $tls.Url -Credential $tls.Person 3>$null
            $made.Value | Should -BeOfType ([securestring])
            @(Get-VapEnvironment -Server $tls.Url -Credential ([pscredential]::new('token', $made.Value)) 3>$null).Count | Should -BeGreaterThan 0
        }
        finally { $tls | Stop-UssTestServer }
    }

    It 'a session that a password began ends with its connection' {
        $before = Get-UssTestCount $a 'POST /1.0/users/authentication/rest/signout'
        $connection = Connect-VapPlatform $a.Url $login -SignIn
        $connection.SignedIn | Should -BeTrue
        (Get-VapToken).Description | Should -Contain 'everything'
        Disconnect-VapPlatform $connection
        Get-UssTestCount $a 'POST /1.0/users/authentication/rest/signout' | Should -Be ($before + 1)
    }
}

Describe 'Invoke-VapMethod' {
    It 'calls a method and gives its answer as objects' {
        $answer = Invoke-VapMethod environment/control/getenvinfo @{ envName = 'my-project' } @atA
        $answer.result | Should -Be 0
        $answer.env.shortdomain | Should -Be 'my-project'
        @($answer.nodes).Count | Should -Be 4
    }

    It 'reads a method as URLs and scripts have it' -ForEach '/1.0/environment/control/rest/getenvinfo', 'environment.control.GetEnvInfo' {
        (Invoke-VapMethod $_ @{ envname = 'my-project' } @atA).env.envName | Should -Be 'my-project'
    }

    It 'refuses what the description does not know before anything is sent' -ForEach @(
        @{ Method = 'environment/control/stopenvs'; Parameter = @{}; Says = 'environment/control/stopenv' }
        @{ Method = 'environment/control/stopenv'; Parameter = @{}; Says = 'envName' }
        @{ Method = 'environment/control/stopenv'; Parameter = @{ envname2 = 'x' }; Says = 'envName' }
        @{ Method = 'environment/control/restartnodebyid'; Parameter = @{ envName = 'my-project'; nodeId = 'seven' }; Says = 'whole number' }
        @{ Method = 'environment/control/stopenv'; Parameter = @{ envName = 'x'; session = 'y' }; Says = 'connection' }
    ) {
        $before = Get-SentCount
        $failure = Get-Failure { Invoke-VapMethod $Method $Parameter @atA }
        $failure.FullyQualifiedErrorId | Should -Be 'InvalidArgument,Invoke-VapMethod'
        "$failure $($failure.ErrorDetails.RecommendedAction)" | Should -Match ([regex]::Escape($Says))
        Get-SentCount | Should -Be $before
    }

    It 'knows each of the 310 methods and its parameters' {
        $methods = @(Get-UssTestCompletion 'Invoke-VapMethod ' | ForEach-Object CompletionText)
        $methods.Count | Should -Be 310
        $before = Get-SentCount
        $answers = foreach ($method in $methods) {
            $failure = Get-Failure { Invoke-VapMethod $method @{ 'no such parameter' = 1 } @atA }
            "$($failure.FullyQualifiedErrorId) $failure"
        }
        $expected = foreach ($method in $methods) { "InvalidArgument,Invoke-VapMethod $method has no parameter 'no such parameter'. Nothing was sent." }
        $answers | Should -Be $expected
        Get-SentCount | Should -Be $before
    }

    It '-Force sends it all the same' {
        $failure = Get-Failure { Invoke-VapMethod environment/control/stopenv -Force -ErrorAction Stop @atA }
        $failure.FullyQualifiedErrorId | Should -Be 'Vap.3,Invoke-VapMethod'
    }

    It 'sends structures as JSON, flags and secrets' {
        $made = Invoke-VapMethod environment/control/createenvironment @{
            env = @{ shortdomain = 'made'; displayName = 'Made "here"' }
            nodes = @(@{ nodeType = 'tomcat'; count = 2 }, @{ nodeType = 'mysql' })
        } @atA
        $made.response.env.displayName | Should -Be 'Made "here"'
        @($made.response.nodes).Count | Should -Be 3
        $null = Invoke-VapMethod environment/control/cloneenv @{ srcEnvName = 'made'; dstEnvName = 'made2'; useExternalMounts = $true } @atA
        $null = Invoke-VapMethod environment/control/deleteenv @{ envName = 'made'; password = $login } @atA
        $failure = Get-Failure { Invoke-VapMethod environment/control/deleteenv @{ envName = 'made2'; password = (ConvertTo-SecureString 'wrong' -AsPlainText -Force) } -ErrorAction Stop @atA }
        $failure.FullyQualifiedErrorId | Should -Be 'Vap.701,Invoke-VapMethod'
        $null = Invoke-VapMethod environment/control/deleteenv @{ envName = 'made2' } @atA
    }

    It 'a token in the answer is a SecureString, unless plain text is asked for' {
        $parameter = @{ description = 'from a call'; apiList = @('environment/control/getenvs'); password = $login.Password }
        $answer = Invoke-VapMethod users/authentication/createtoken $parameter -Server $a.Url -Credential $login -SignIn
        $answer.token.key | Should -BeOfType [securestring]
        (Get-VapEnvironment -Server $a.Url -Credential ([pscredential]::new('x', $answer.token.key))).Count | Should -Be 3
        $answer = Invoke-VapMethod users/authentication/regeneratetoken @{ id = $answer.token.id; password = $login.Password } -AsPlainText -Server $a.Url -Credential $login -SignIn
        $answer.token.key.Length | Should -Be 88
        Remove-VapToken $answer.token.id -Force -Server $a.Url -Credential $login
    }

    It 'failures inside of an answer are errors with the platform''s code' {
        $failure = Get-Failure { Invoke-VapMethod environment/control/createenvironment @{ env = @{ shortdomain = 'my-project' }; nodes = @{ nodeType = 'nginx' } } -ErrorAction Stop @atA }
        $failure.FullyQualifiedErrorId | Should -Be 'Vap.2330,Invoke-VapMethod'
        $failure = Get-Failure { Invoke-VapMethod environment/control/restartservices @{ envName = 'reports' } -ErrorAction Stop @atA }
        $failure.FullyQualifiedErrorId | Should -Be 'Vap.4099,Invoke-VapMethod'
    }
}

Describe 'Environments' {
    It 'are listed by wildcards, with state and nodes' {
        $found = Get-VapEnvironment '*o*' @atA
        $found.Name | Should -Be 'my-project', 'reports', 'shop-test'
        $found[0].PSTypeNames[0] | Should -Be 'Vap.Environment'
        $found[0].Status | Should -Be 'Running'
        $found[0].StatusCode | Should -Be 1
        $found[0].Domain | Should -Be 'my-project.localhost'
        $found[0].Nodes.Kind | Should -Be 'nginx', 'tomcat', 'tomcat', 'postgres'
        Get-VapEnvironment 'none*' @atA | Should -BeNullOrEmpty
    }

    It 'one that is not there is an error, and the others come' {
        $found = Get-VapEnvironment 'none', 'my-project' -ErrorVariable failed -ErrorAction SilentlyContinue @atA
        $found.Name | Should -Be 'my-project'
        $failed[0].FullyQualifiedErrorId | Should -Be 'Vap.11,Get-VapEnvironment'
        $failed[0].CategoryInfo.Category | Should -Be 'ObjectNotFound'
    }

    It 'stop and start, with -Wait and by pipeline' {
        $stopped = Get-VapEnvironment 'my-project' @atA | Stop-VapEnvironment -Wait @atA
        $stopped.Status | Should -Be 'Down'
        Start-VapEnvironment 'my-project' @atA | Should -BeNullOrEmpty
        (Get-VapEnvironment 'my-project' @atA).Status | Should -Be 'Running'
        (Restart-VapEnvironment 'my-project' -PassThru @atA).Name | Should -Be 'my-project'
        $node = (Get-VapEnvironment 'my-project' @atA).Nodes[0].Id
        Restart-VapEnvironment 'my-project' -NodeId $node @atA
        (Get-Failure { Restart-VapEnvironment 'my-project' -NodeId 1 -ErrorAction Stop @atA }).FullyQualifiedErrorId | Should -Be 'Vap.5,Restart-VapEnvironment'
    }

    It 'a token that may stop, and not look, stops' {
        $narrow = New-VapToken 'stop' -Method environment/control/stopenv -Server $a.Url -Credential $login
        $only = @{ Server = $a.Url; Credential = [pscredential]::new('token', $narrow.Value) }
        Stop-VapEnvironment 'my-project' @only | Should -BeNullOrEmpty
        (Get-Failure { Start-VapEnvironment 'my-project' -ErrorAction Stop @only }).FullyQualifiedErrorId | Should -Be 'Vap.8202,Start-VapEnvironment'
        Start-VapEnvironment 'my-project' -Wait @atA
    }

    It 'a call whose answer gets lost is not sent again' {
        Add-UssTestFault $a @{ path = '/rest/stopenv'; action = 'forget' }
        $before = Get-UssTestCount $a 'POST /1.0/environment/control/rest/stopenv'
        (Stop-VapEnvironment 'my-project' -Wait @atA).Status | Should -Be 'Down'
        Get-UssTestCount $a 'POST /1.0/environment/control/rest/stopenv' | Should -Be ($before + 1)
        Start-VapEnvironment 'my-project' @atA
    }

    It 'the guide''s URL stops one with a token for that alone' {
        $narrow = New-VapToken 'stop' -Method environment/control/stopenv -AsPlainText -Server $a.Url -Credential $login
        $envName = 'my-project'; $token = [uri]::EscapeDataString($narrow.Value)
        (Invoke-RestMethod "$($a.Url)/1.0/environment/control/rest/stopenv?envName=${envName}&session=${token}").result | Should -Be 0
        (Get-VapEnvironment $envName @atA).Status | Should -Be 'Down'
        $by = New-UssTestCredential 'token' $narrow.Value
        (Get-Failure { Invoke-VapMethod environment/control/startenv @{ envName = $envName } -ErrorAction Stop -Server $a.Url -Credential $by }).FullyQualifiedErrorId | Should -Be 'Vap.8202,Invoke-VapMethod'
        Start-VapEnvironment $envName @atA
        Remove-VapToken $narrow.Id -Force -Server $a.Url -Credential $login
    }
}

Describe 'Tokens' {
    BeforeEach { Connect-VapPlatform $a.Url $login -SignIn | Out-Null }

    It 'live from New to Remove' {
        $ends = [datetime]::UtcNow.AddDays(30)
        $made = New-VapToken 'nightly' -Scope 'IDE Plugins' -Expires $ends
        $made.PSTypeNames | Should -Contain 'Vap.Token'
        $made.Value | Should -BeOfType [securestring]
        $made.Scope | Should -Be 'IDE Plugins'
        $made.Expires.Kind | Should -Be 'Utc'
        [System.Math]::Abs(($made.Expires - $ends).TotalSeconds) | Should -BeLessThan 2
        $changed = Set-VapToken $made.Id -Description 'weekly' -NeverExpires -Method environment/control/getenvs
        $changed.Description | Should -Be 'weekly'
        $changed.Expires | Should -BeNullOrEmpty
        $changed.Methods | Should -Be 'environment/control/getenvs'
        $copy = $changed | Copy-VapToken -Description 'copy' -AsPlainText
        $copy.Value.Length | Should -Be 88
        $again = Reset-VapToken $copy.Id -Force -AsPlainText
        $again.Value | Should -Not -Be $copy.Value
        (Get-Failure { Get-VapEnvironment -ErrorAction Stop -Server $a.Url -Credential (New-UssTestCredential 'x' $copy.Value) }).FullyQualifiedErrorId | Should -Be 'Vap.702,Get-VapEnvironment'
        $made.Id, $copy.Id | Remove-VapToken -Force
        (Get-VapToken).Id | Should -Not -Contain $made.Id
    }

    It '-Password is taken in place of the connection''s' {
        $wrong = ConvertTo-SecureString 'wrong' -AsPlainText -Force
        (Get-Failure { New-VapToken 'x' -Scope Marketplace -Password $wrong -ErrorAction Stop }).FullyQualifiedErrorId | Should -Be 'Vap.701,New-VapToken'
        $made = New-VapToken 'x' -Scope Marketplace -Password $login.Password
        Remove-VapToken $made.Id -Force -Password $login
    }

    It 'a token does not manage tokens' {
        (Get-Failure { Get-VapToken -Server (Connect-VapPlatform @atA) }).FullyQualifiedErrorId | Should -Be 'InvalidArgument,Get-VapToken'
    }

    It 'an unknown id is an error, and the others come' {
        $found = Get-VapToken $token.Id, 1 -ErrorVariable failed -ErrorAction SilentlyContinue
        $found.Id | Should -Be $token.Id
        $failed[0].FullyQualifiedErrorId | Should -Be 'Vap.5,Get-VapToken'
    }

    It 'sets and methods can be chosen from' {
        $sets = Get-VapTokenScope | Where-Object Kind -EQ Set
        $sets.Name | Should -Be 'Extended Access', 'IDE Plugins', 'Marketplace', 'Maven Plugin'
        (Get-VapTokenScope -Search stopenv).Name | Should -Be 'environment/control/stopenv'
        (Get-VapTokenScope 'maven*').Methods | Should -Contain 'environment/control/deployapp'
    }
}

Describe '-WhatIf' {
    It 'sends nothing: <_>' -ForEach @(
        'Start-VapEnvironment reports, shop-test', 'Stop-VapEnvironment my-project, shop-test', 'Restart-VapEnvironment my-project'
        'New-VapToken x -Scope Marketplace', 'Set-VapToken $token.Id -Description x', 'Copy-VapToken $token.Id', 'Reset-VapToken $token.Id', 'Remove-VapToken $token.Id'
    ) {
        $by = if ($_ -like '*Token*') { @{ Server = $a.Url; Credential = $login } } else { $atA }
        $before = Get-SentCount
        & ([scriptblock]::Create("$_ -WhatIf @by")) | Should -BeNullOrEmpty
        Get-SentCount | Should -Be $before
    }
}

Describe 'Progress' {
    BeforeAll { $slow = Start-UssTestServer $folder 'paul' -Arguments '--demo', '--state-time', '2500' }

    AfterAll { $slow | Stop-UssTestServer }

    It 'is shown while <Name> takes long, and taken off the display' -ForEach @(
        @{ Name = 'a change of state'; Activity = 'Changing environments'; Line = 'Stop-VapEnvironment my-project -Wait' }
        @{ Name = 'a restart'; Activity = 'Restarting nodes'; Line = 'Start-VapEnvironment reports; Restart-VapEnvironment reports' }
        @{ Name = 'any method'; Activity = 'Waiting for the platform'; Line = 'Invoke-VapMethod environment/control/cloneenv @{ srcEnvName = ''shop-test''; dstEnvName = ''slow'' }' }
    ) {
        $shell = New-UssTestRunner
        [void] $shell.AddScript("param(`$module, `$url, `$credential) Import-Module `$module; `$null = Connect-VapPlatform `$url `$credential -SignIn; $Line")
        [void] $shell.AddArgument($module).AddArgument($slow.Url).AddArgument($slow.Person)
        try {
            $null = $shell.Invoke()
            $shell.Streams.Error | Should -BeNullOrEmpty
            $records = @($shell.Streams.Progress | Where-Object Activity -EQ $Activity)
        }
        finally { $shell.Dispose() }
        @($records | Where-Object RecordType -EQ 'Processing').Count | Should -BeGreaterThan 0
        $records[-1].RecordType | Should -Be 'Completed'
    }
}

Describe 'The commonest methods, with typed results' {
    BeforeAll {
        Connect-VapPlatform $a.Url $login -SignIn | Out-Null
        $node = (Get-VapEnvironment my-project).Nodes[1].Id
        Disconnect-VapPlatform
        $common = @{ id = 0; token = $null }

        function Get-State {
            # The platform's number of an environment's state, and nothing where it is gone.
            param([string] $Name)
            foreach ($info in (Invoke-VapMethod environment/control/getenvs -Server $a.Url -Credential $login -SignIn).infos) {
                if ($info.env.envName -eq $Name) { $info.env.status }
            }
        }
    }

    BeforeEach { Connect-VapPlatform $a.Url $login -SignIn | Out-Null }

    It '<Method>' -ForEach @(
        @{ Method = 'users/authentication/signin'; Give = { @{ login = 'ada'; password = $login } }; Check = { $r.session | Should -BeOfType [securestring]; $r.uid | Should -BeOfType [long] } }
        @{ Method = 'users/account/getuserinfo'; Check = { $r.uid | Should -BeOfType [long]; $r.email | Should -BeExactly 'ada@example.com' } }
        @{ Method = 'billing/account/getaccount'; Check = { $r.balance | Should -BeOfType [double]; $r.isEnabled | Should -BeOfType [bool]; $r.isEnabled | Should -BeTrue } }
        @{ Method = 'users/authentication/gettokentemplates'; Check = { $r.templates.name | Should -Be 'Extended Access', 'IDE Plugins', 'Marketplace', 'Maven Plugin'; $r.templates[0].id | Should -BeOfType [long] } }
        @{ Method = 'users/authentication/gettokenapilist'; Give = { @{ search = 'stopenv' } }; Check = { , $r.tokenPermissions | Should -BeOfType [object[]]; $r.tokenPermissions[0].method | Should -Be 'environment/control/stopenv'; $r.tokenPermissions[0].isSafe | Should -BeFalse } }
        @{ Method = 'users/authentication/createtoken'; Give = { @{ description = 'common'; apiList = @('environment/control/getenvs'); expiresAt = [datetime] '2999-12-31T18:00:00Z'; password = $login } }; Check = { $common.id = $r.token.id; $r.token.id | Should -BeOfType [long]; $r.token.key | Should -BeOfType [securestring]; $r.token.expiresAt | Should -Be '2999-12-31 18:00:00' } }
        @{ Method = 'users/authentication/edittoken'; Give = { @{ id = $common.id; description = 'common 2'; expiresAt = ''; password = $login } }; Check = { $r.token.description | Should -Be 'common 2'; $r.token.expiresAt | Should -BeNullOrEmpty } }
        @{ Method = 'users/authentication/regeneratetoken'; Give = { @{ id = $common.id; password = $login } }; Check = { $r.token.key | Should -BeOfType [securestring]; $r.token.key.Length | Should -Be 88; $r.token.id | Should -Be $common.id } }
        @{ Method = 'users/authentication/gettokens'; Check = { $mine = $r.apiTokens | Where-Object id -EQ $common.id; $mine.apiListItems[0].method | Should -Be 'environment/control/getenvs'; $mine.isSystem | Should -BeOfType [bool] } }
        @{ Method = 'users/authentication/deletetokens'; Give = { @{ ids = @($common.id); password = $login } }; Check = { (Get-VapToken).Id | Should -Not -Contain $common.id } }
        @{ Method = 'users/authentication/getsessions'; Check = { $mine = $r.sessions | Where-Object current; $mine.id | Should -BeOfType [long]; $mine.current | Should -BeOfType [bool]; $mine.userAgent | Should -Match '^uss/'; $mine.createdOn | Should -Match '^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$' } }
        @{ Method = 'users/authentication/signoutsessions'; Give = { $null = Invoke-VapMethod users/authentication/signin @{ login = 'ada'; password = $login }; @{ ids = @((Invoke-VapMethod users/authentication/getsessions).sessions | Where-Object { -not $_.current } | ForEach-Object { $_.id }) } }; Check = { (Invoke-VapMethod users/authentication/getsessions).sessions.current | Should -BeTrue } }
        @{ Method = 'environment/control/getregions'; Check = { $r.array[0].uniqueName | Should -Be 'default'; $r.array[0].isDefault | Should -BeTrue } }
        @{ Method = 'environment/control/getenvs'; Check = { $r.infos.Count | Should -Be 3; $r.infos[0].env.status | Should -BeOfType [long]; $r.infos[0].nodes[0].id | Should -BeOfType [long] } }
        @{ Method = 'environment/control/getbasicenvsinfo'; Check = { $r.infos.env.envName | Should -Contain 'my-project'; $r.infos[0].env.isBroken | Should -BeFalse } }
        @{ Method = 'environment/control/getenvinfo'; Give = { @{ envName = 'my-project' } }; Check = { $r.env.domain.domain | Should -Be 'my-project.localhost'; $r.nodes.nodeType | Should -Be 'nginx', 'tomcat', 'tomcat', 'postgres' } }
        @{ Method = 'environment/control/getnodegroups'; Give = { @{ envName = 'my-project' } }; Check = { $r.object.name | Should -Be 'bl', 'cp', 'sqldb'; $r.object[0].isSLBAccessEnabled | Should -BeOfType [bool] } }
        @{ Method = 'environment/control/stopenv'; Give = { @{ envName = 'my-project' } }; Check = { Get-State my-project | Should -Be 2 } }
        @{ Method = 'environment/control/startenv'; Give = { @{ envName = 'my-project' } }; Check = { Get-State my-project | Should -Be 1 } }
        @{ Method = 'environment/control/restartnodes'; Give = { @{ envName = 'my-project' } }; Check = { Get-State my-project | Should -Be 1 } }
        @{ Method = 'environment/control/restartnodebyid'; Give = { @{ envName = 'my-project'; nodeId = $node } }; Check = { $r.nodeId | Should -Be $node; $r.exitStatus | Should -BeOfType [long] } }
        @{ Method = 'environment/control/restartcontainerbyid'; Give = { @{ envName = 'my-project'; nodeid = $node } }; Check = { Get-State my-project | Should -Be 1 } }
        @{ Method = 'environment/control/restartservices'; Give = { @{ envName = 'my-project'; nodeGroup = 'cp' } }; Check = { $r.responses.Count | Should -Be 2; $r.responses.result | Should -Be 0, 0; $r.responses.nodeId | Should -Contain $node } }
        @{ Method = 'environment/control/setenvdisplayname'; Give = { @{ envName = 'my-project'; displayName = 'Mine "here" & é' } }; Check = { (Invoke-VapMethod environment/control/getenvinfo @{ envName = 'my-project' }).env.displayName | Should -BeExactly 'Mine "here" & é' } }
        @{ Method = 'environment/control/setnodedisplayname'; Give = { @{ envName = 'my-project'; nodeId = $node; displayName = 'Front' } }; Check = { (Get-VapEnvironment my-project).Nodes.DisplayName | Should -Contain 'Front' } }
        @{ Method = 'environment/control/sleepenv'; Give = { @{ envName = 'my-project' } }; Check = { Get-State my-project | Should -Be 4; Start-VapEnvironment my-project } }
        @{ Method = 'environment/binder/checkdomain'; Give = { @{ domain = 'common' } }; Check = { (Get-Failure { Invoke-VapMethod environment/binder/checkdomain @{ domain = 'my-project' } -ErrorAction Stop }).FullyQualifiedErrorId | Should -Be 'Vap.2330,Invoke-VapMethod' } }
        @{ Method = 'environment/control/createenvironment'; Give = { @{ env = @{ shortdomain = 'common' }; nodes = @(@{ nodeType = 'tomcat'; fixedCloudlets = 2 }) } }; Check = { $r.response.env.status | Should -Be 1; $r.response.nodes[0].fixedCloudlets | Should -BeOfType [long]; $r.response.nodes[0].isMaster | Should -BeTrue } }
        @{ Method = 'environment/control/changetopology'; Give = { @{ envName = 'common'; env = @{ displayName = 'Common' }; nodes = @(@{ nodeType = 'tomcat'; count = 2; flexibleCloudlets = 8 }, @{ nodeType = 'nginx' }) } }; Check = { $r.response.env.displayName | Should -Be 'Common'; $r.response.nodes.nodeGroup | Should -Be 'cp', 'cp', 'bl'; $r.response.nodes[1].flexibleCloudlets | Should -BeOfType [long]; $r.response.nodes.flexibleCloudlets | Should -Be 8, 8, 4; $r.response.nodes[0].fixedCloudlets | Should -Be 2; Get-State common | Should -Be 1 } }
        @{ Method = 'environment/control/redeploycontainersbygroup'; Give = { @{ envName = 'common'; nodeGroup = 'cp'; tag = '10.1' } }; Check = { $r.responses.result | Should -Be 0, 0; $r.responses[0].exitStatus | Should -BeOfType [long]; (Invoke-VapMethod environment/control/getenvinfo @{ envName = 'common' }).nodes.dockerTag | Should -Be '10.1', '10.1', '' } }
        @{ Method = 'environment/control/redeploycontainerbyid'; Give = { @{ envName = 'common'; nodeId = (Get-VapEnvironment common).Nodes[1].Id; tag = '10.2'; useExistingVolumes = $true } }; Check = { $r.responses[0].nodeId | Should -BeOfType [long]; (Invoke-VapMethod environment/control/getenvinfo @{ envName = 'common' }).nodes.dockerTag | Should -Be '10.1', '10.2', '' } }
        @{ Method = 'environment/control/redeploycontainers'; Give = { @{ envName = 'common'; nodeGroup = 'bl'; tag = '1.27' } }; Check = { $r.responses[0].result | Should -Be 0 } }
        @{ Method = 'environment/control/cloneenv'; Give = { @{ srcEnvName = 'common'; dstEnvName = 'common2' } }; Check = { Get-State common2 | Should -Be 1 } }
        @{ Method = 'environment/control/deleteenv'; Give = { @{ envName = 'common2'; password = $login } }; Check = { Get-State common2 | Should -BeNullOrEmpty; Get-State common | Should -Be 1; Invoke-VapMethod environment/control/deleteenv @{ envName = 'common'; password = $login } | Out-Null } }
        @{ Method = 'environment/tracking/getserverutctime'; Check = { [datetime]::ParseExact($r.object, 'yyyy-MM-dd HH:mm:ss', [cultureinfo]::InvariantCulture).Year | Should -BeGreaterThan 2025 } }
        @{ Method = 'users/authentication/signout'; Check = { $r.source | Should -Be 'uss-server' } }
    ) {
        $parameter = if ($_.Contains('Give')) { & $Give } else { @{} }
        $r = Invoke-VapMethod $Method $parameter
        $r.result | Should -BeOfType [long]
        $r.result | Should -Be 0
        & $Check
    }
}

Describe 'Commands in a node' {
    It 'are refused, and the error says that nothing was done: <_>' -ForEach 'execcmdbyid', 'execcmdbygroup' {
        $where = if ($_ -eq 'execcmdbyid') { @{ nodeId = (Get-VapEnvironment my-project @atA).Nodes[0].Id } } else { @{ nodeGroup = 'cp' } }
        $parameter = @{ envName = 'my-project'; commandList = @(@{ command = 'systemctl'; params = 'restart app' }) } + $where
        $method = "environment/control/$_"
        $failed = Get-Failure { Invoke-VapMethod $method $parameter -ErrorAction Stop @atA }
        $failed.FullyQualifiedErrorId | Should -Be 'Vap.98,Invoke-VapMethod'
        "$failed" | Should -Match 'runs no commands.*nothing was done'
    }
}

Describe 'A call that outlives the time-out' {
    AfterEach { Clear-UssTestFault $a }

    It 'is sent once: <Name>' -ForEach @(
        @{ Name = 'any method'; Method = 'restartnodes'; Script = { Invoke-VapMethod environment/control/restartnodes @{ envName = 'my-project' } -TimeoutSec 1 -ErrorAction Stop @atA } }
        @{ Name = 'a restart'; Method = 'restartnodes'; Script = { Restart-VapEnvironment my-project -TimeoutSec 1 -ErrorAction Stop @atA } }
        @{ Name = 'a method that makes something'; Method = 'cloneenv'; Script = { Invoke-VapMethod environment/control/cloneenv @{ srcEnvName = 'shop-test'; dstEnvName = 'late' } -TimeoutSec 1 -ErrorAction Stop @atA } }
    ) {
        $request = "POST /1.0/environment/control/rest/$Method"
        $before = Get-UssTestCount $a $request
        Add-UssTestFault $a @{ path = "/rest/$Method"; count = 10; action = @{ delay = 3000 } }
        $failure = Get-Failure $Script
        $failure.FullyQualifiedErrorId | Should -BeLike 'Timeout,*'
        "$failure" | Should -Match 'is not known'
        "$($failure.ErrorDetails.RecommendedAction)" | Should -Match 'it was sent once'
        # What another call finds shows that nothing came after it.
        (Get-VapEnvironment my-project @atA).Name | Should -Be 'my-project'
        Get-UssTestCount $a $request | Should -Be ($before + 1)
    }

    It 'is sent once, and its end is awaited, where the state tells what became of it' {
        $slow = Start-UssTestServer $folder 'sven' -Arguments '--demo', '--state-time', '2500'
        try {
            $by = @{ Server = $slow.Url; TimeoutSec = 1 }
            $made = New-VapToken 'stop' -Method environment/control/stopenv, environment/control/getenvinfo -Server $slow.Url -Credential $slow.Person
            $by.Credential = [pscredential]::new('token', $made.Value)
            (Stop-VapEnvironment my-project -Wait -ErrorAction Stop @by).Status | Should -Be 'Down'
            Get-UssTestCount $slow 'POST /1.0/environment/control/rest/stopenv' | Should -Be 1
            Get-UssTestCount $slow 'POST /1.0/environment/control/rest/getenvinfo' | Should -BeGreaterThan 0
        }
        finally { $slow | Stop-UssTestServer }
    }
}

Describe 'Bad input, one clear error each' {
    It '<Name>' -ForEach @(
        @{ Name = 'an unknown method'; Script = { Invoke-VapMethod environment/control/stopenvs -ErrorAction Stop @atA }; Id = 'InvalidArgument'; Hint = 'Near it: .*environment/control/stopenv' }
        @{ Name = 'a method that is none'; Script = { Invoke-VapMethod 'stop my project' -ErrorAction Stop @atA }; Id = 'InvalidArgument'; Says = 'has no method' }
        @{ Name = 'a missing parameter'; Script = { Invoke-VapMethod environment/control/stopenv -ErrorAction Stop @atA }; Id = 'InvalidArgument'; Says = 'lacks envName'; Hint = 'It takes envName' }
        @{ Name = 'an ill-typed parameter'; Script = { Invoke-VapMethod environment/control/restartnodebyid @{ envName = 'my-project'; nodeId = 'seven' } -ErrorAction Stop @atA }; Id = 'InvalidArgument'; Says = "'nodeId' .* whole number" }
        @{ Name = 'a host that is not there'; Script = { Get-VapEnvironment -Server http://no-such-host.invalid -AllowUnencryptedAuthentication -Credential $credential -ErrorAction Stop }; Id = 'NameNotResolved'; Says = 'no-such-host\.invalid' }
        @{ Name = 'a host that is no platform'; Script = { Get-VapEnvironment -Server "$($a.Url)/packages" -Credential $credential -ErrorAction Stop }; Id = 'ProtocolViolation'; Hint = "the platform's own" }
        @{ Name = 'an HTML page'; Answer = @{ contentType = 'text/html'; body = '<html><title>Sign in</title></html>' }; Id = 'ProtocolViolation'; Says = 'Sign in'; Hint = "the platform's own" }
        @{ Name = 'a result without a number'; Answer = @{ contentType = 'application/json'; body = '{"result":"fine"}' }; Id = 'ProtocolViolation'; Says = 'without a number' }
        @{ Name = 'no JSON'; Answer = @{ contentType = 'application/json'; body = '{"result":' }; Id = 'ProtocolViolation'; Hint = "the platform's own" }
        @{ Name = 'a nested failure'; Answer = @{ contentType = 'application/json'; body = '{"result":0,"responses":[{"result":4099,"errOut":"disk full","nodeId":7}]}' }; Id = 'Vap.4099'; Says = 'node 7: disk full'; Hint = "node's log" }
        @{ Name = 'an expired token'; Token = 'expired'; Id = 'Vap.702'; Says = 'expired'; Hint = 'make a new token' }
        @{ Name = 'a revoked token'; Token = 'revoked'; Id = 'Vap.702'; Says = 'revoked'; Hint = 'make a new token' }
        @{ Name = 'a narrow token'; Token = 'narrow'; Id = 'Vap.8202'; Says = 'getenvs'; Hint = 'Get-VapTokenScope' }
    ) {
        $run = $_['Script']
        if ($_.Contains('Answer')) {
            Add-UssTestFault $a @{ path = '/rest/getenvs'; action = @{ status = @{ code = 200 } + $Answer } }
            $run = { Get-VapEnvironment -ErrorAction Stop @atA }
        }
        if ($_.Contains('Token')) {
            $what = @{ Method = if ($Token -eq 'narrow') { 'environment/control/stopenv' } else { 'environment/control/getenvs' } }
            # On a busy machine the first end may be over before the platform is asked.
            foreach ($seconds in 1.5, 6, 30) {
                if ($Token -eq 'expired') { $what.Expires = [datetime]::UtcNow.AddSeconds($seconds) }
                $bad = New-VapToken $Token -Server $a.Url -Credential $login -ErrorAction SilentlyContinue @what
                if ($bad) { break }
            }
            if ($Token -eq 'revoked') { Invoke-UssServerProgram token revoke $bad.Id --data $a.Data | Out-Null }
            if ($Token -eq 'expired') { while ([datetime]::UtcNow -le $bad.Expires.AddMilliseconds(100)) { [System.Threading.Thread]::Sleep(50) } }
            $run = { Get-VapEnvironment -Server $a.Url -Credential ([pscredential]::new('token', $bad.Value)) -ErrorAction Stop }
        }
        $failed = Get-Failure $run
        if ($_.Contains('Token')) { Remove-VapToken $bad.Id -Force -Server $a.Url -Credential $login }
        $failed.FullyQualifiedErrorId | Should -BeLike "$Id,*"
        if ($_.Contains('Says')) { "$failed" | Should -Match $Says }
        if ($_.Contains('Hint')) { "$($failed.ErrorDetails.RecommendedAction)" | Should -Match $Hint }
    }
}

Describe 'The module' {
    It 'loads no other module, and shares the library with Uss' {
        $uss = $env:USS_TEST_MODULE
        $shell = Invoke-UssTestShell "Import-Module '$module', '$uss'
            `$secret = [securestring]::new(); foreach (`$c in '$($a.Token)'.ToCharArray()) { `$secret.AppendChar(`$c) }
            `$null = Connect-UssServer '$($a.Url)' ([pscredential]::new('anna', `$secret))
            `$secret = [securestring]::new(); foreach (`$c in 'correct horse battery staple'.ToCharArray()) { `$secret.AppendChar(`$c) }
            `$null = Connect-VapPlatform '$($a.Url)' ([pscredential]::new('ada', `$secret)) -SignIn
            @(Get-VapEnvironment).Length; @(Get-UssPackage).Length
            @([System.AppDomain]::CurrentDomain.GetAssemblies() | ForEach-Object { `$_.GetName().Name } | Where-Object { `$_ -eq 'Uss.Native' }).Count
            Disconnect-VapPlatform; (Get-UssConnection).Default"
        $shell.Errors | Should -BeNullOrEmpty
        $shell.Output -split '\s+' | Should -Be '3', '0', '1', 'True'
    }

    It 'module, loader and views have one version' {
        $version = (Import-PowerShellDataFile "$module/Vap.psd1").ModuleVersion
        (Import-PowerShellDataFile "$module/Vap.format.psd1").ModuleVersion | Should -Be $version
        Get-Content "$module/Native.psm1" -Raw | Should -Match "LibraryVersion = '$([regex]::Escape($version))'"
    }

    It 'completes methods, parameters, environments and sets' {
        Connect-VapPlatform $a.Url $login -SignIn | Out-Null
        function Get-Completion { param([string] $Line) @(Get-UssTestCompletion $Line | ForEach-Object CompletionText) }
        Get-Completion 'Invoke-VapMethod stopen' | Should -Be 'environment/control/stopenv'
        (Get-UssTestCompletion 'Invoke-VapMethod stopen').ToolTip | Should -Be 'Stops environment if it is running'
        Get-Completion 'Invoke-VapMethod environment/control/cloneenv -Parameter ' | Should -Be "@{ dstEnvName = ''; srcEnvName = '' }", "@{ dstEnvName = ''; srcEnvName = ''; useExternalMounts = '' }"
        Get-Completion 'Invoke-VapMethod environment/control/getenvs ' | Should -Be "@{ appid = ''; lazy = ''; ownerUid = '' }"
        Get-Completion 'Invoke-VapMethod users/authentication/gettokentemplates ' | Should -Be '@{}'
        Get-Completion 'Stop-VapEnvironment my' | Should -Be 'my-project'
        Get-Completion 'New-VapToken x -Scope Mav' | Should -Be "'Maven Plugin'"
    }

    It '<_> is documented in full' -ForEach $cmdlets {
        Assert-UssHelp $_
    }

    It 'the examples of <_> run as they are written' -ForEach $cmdlets {
        Connect-VapPlatform $a.Url $login -SignIn | Out-Null
        if ($_ -like '*Token') { New-VapToken 'for an example' -Scope Marketplace | Out-Null }
        foreach ($example in (Get-Help $_ -Full).examples.example) {
            if (-not (Get-VapConnection)) { Connect-VapPlatform $a.Url $login -SignIn | Out-Null }
            Start-VapEnvironment my-project -Wait
            $code = $example.code.Replace('http://localhost:8060', $a.Url).Replace("(ConvertTo-SecureString 'token_hash' -AsPlainText -Force)", '$token.Value')
            & ([scriptblock]::Create("`$ErrorActionPreference = 'Stop'; $code")) | Out-Null
        }
        if ($_ -in 'Remove-VapToken', 'Reset-VapToken') {
            $script:token = New-VapToken 'everything' -Scope 'Extended Access' -Server $a.Url -Credential $login
            $script:credential = [pscredential]::new('token', $script:token.Value)
            $script:atA = @{ Server = $a.Url; Credential = $script:credential }
        }
    }
}
