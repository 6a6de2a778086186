# Each cmdlet against real servers: parameters, pipeline forms, servers and credentials, objects.

. $PSScriptRoot/Platform.ps1

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    Import-Module $env:USS_TEST_MODULE -Force
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-cmdlets-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $a = Start-UssTestServer $folder 'anna'
    $b = Start-UssTestServer $folder 'bert'
    foreach ($version in '1.0.0', '1.1.0', '1.2.0-rc.1', '2.0.0') { Add-UssTestPackage $a 'example-package' $version 'example-runtime=>=1.0' | Out-Null }
    Add-UssTestPackage $a 'example-runtime' '1.0.0' | Out-Null
    Add-UssTestPackage $a 'bundle/my-pos' '1.0.0' 'example-package=^' | Out-Null
    $setup = Join-Path $folder 'Setup.exe'
    [System.IO.File]::WriteAllBytes($setup, [byte[]] (1..200))
    Invoke-UssServerProgram installer add $setup --name 'Example setup' --data $a.Data | Out-Null
    $atA = @{ Server = $a.Url; Credential = $a.Credential }
    $atB = @{ Server = $b.Url; Credential = $b.Credential }
}

AfterEach {
    @(Get-UssConnection) | ForEach-Object { Disconnect-UssServer $_ }
}

AfterAll {
    $a, $b | Stop-UssTestServer
    Remove-Item $folder -Recurse -Force
}

Describe 'Connections' {
    It 'the last connection made is the default' {
        $first = Connect-UssServer @atA
        $second = Connect-UssServer @atB
        $first.Default | Should -BeFalse
        $second.Default | Should -BeTrue
        (Get-UssConnection).Server | Should -Be $a.Url, $b.Url
        Get-UssPackage | Should -BeNullOrEmpty
    }

    It 'server and credential are taken by position' {
        (Connect-UssServer $a.Url $a.Credential).UserName | Should -Be 'anna'
    }

    It 'a connection and a credential of the call give the same result' {
        $direct = Get-UssPackageVersion 'example-package' -All @atA | ConvertTo-Json -Depth 5
        Connect-UssServer @atA | Out-Null
        Get-UssPackageVersion 'example-package' -All | ConvertTo-Json -Depth 5 | Should -Be $direct
    }

    It 'a connection object names its server and user' {
        $connection = Connect-UssServer @atA
        Connect-UssServer @atB | Out-Null
        (Get-UssPackageVersion 'example-package' -Server $connection).Version | Should -Be '2.0.0'
    }

    It 'an address uses the credential of the connection to the same origin, however it is written' {
        Connect-UssServer @atA | Out-Null
        Connect-UssServer @atB | Out-Null
        (Get-UssPackageVersion 'example-package' -Server "  $($a.Url.ToUpperInvariant())/ ").Version | Should -Be '2.0.0'
    }

    It 'a credential is not used for another server' {
        Connect-UssServer @atA | Out-Null
        Get-UssPackage -Server $b.Url -ErrorAction SilentlyContinue -ErrorVariable failure | Should -BeNullOrEmpty
        $failure[0].FullyQualifiedErrorId | Should -Be 'CredentialMissing,Get-UssPackage'
    }

    It 'a credential without a server is for the default connection' {
        Connect-UssServer @atA | Out-Null
        $wrong = New-UssTestCredential 'anna' 'wrong'
        Get-UssPackage -Credential $wrong -ErrorAction SilentlyContinue -ErrorVariable failure | Should -BeNullOrEmpty
        $failure[0].FullyQualifiedErrorId | Should -Be 'AuthenticationFailed,Get-UssPackage'
    }

    It 'a transport option beside a connection object is refused, unless it is for the other end of a copy' {
        $connection = Connect-UssServer @atA
        (Get-Failure { Get-UssPackage -Server $connection -TimeoutSec 5 }).FullyQualifiedErrorId | Should -Be 'InvalidArgument,Get-UssPackage'
        $both = @{ SourceServer = $connection; Server = $connection; TimeoutSec = 5; WhatIf = $true }
        (Get-Failure { Copy-UssPackageFromServer 'example-package' @both }).FullyQualifiedErrorId | Should -Be 'InvalidArgument,Copy-UssPackageFromServer'
        $one = @{ SourceServer = $connection; Server = $b.Url; Credential = $b.Credential; TimeoutSec = 5; WhatIf = $true }
        Copy-UssPackageFromServer 'example-package' @one | Should -Not -BeNullOrEmpty
    }

    It 'a transport option is heeded beside the default connection' {
        Connect-UssServer @atA | Out-Null
        $missing = Join-Path $folder 'no-routes.json'
        (Get-Failure { Get-UssPackage -RouteFile $missing }).FullyQualifiedErrorId | Should -Be 'InvalidArgument,Get-UssPackage'
        Get-UssPackage -TimeoutSec 5 | Should -Not -BeNullOrEmpty
    }

    It 'a call by address uses this session''s connection, with USS_ROUTES too' {
        $env:USS_ROUTES = Join-Path $folder 'routes.json'
        [System.IO.File]::WriteAllText($env:USS_ROUTES, '{}')
        try {
            Connect-UssServer @atA | Out-Null
            # A connection that is opened anew would read the file.
            [System.IO.File]::Delete($env:USS_ROUTES)
            Get-UssPackage -Server $a.Url | Should -Not -BeNullOrEmpty
        }
        finally { $env:USS_ROUTES = $null }
    }

    It 'a credential beside a connection object is refused' {
        $connection = Connect-UssServer @atA
        (Get-Failure { Get-UssPackage -Server $connection -Credential $a.Credential }).FullyQualifiedErrorId | Should -Be 'InvalidArgument,Get-UssPackage'
    }

    It 'a failed connect leaves the previous connection' {
        Connect-UssServer @atA | Out-Null
        $failure = Get-Failure { Connect-UssServer $b.Url $a.Credential }
        $failure.FullyQualifiedErrorId | Should -Be 'AuthenticationFailed,Connect-UssServer'
        (Get-UssConnection).Server | Should -Be $a.Url
        (Get-UssConnection).Default | Should -BeTrue
    }

    It 'disconnecting the default makes no other the default' {
        Connect-UssServer @atA | Out-Null
        Connect-UssServer @atB | Out-Null
        Disconnect-UssServer
        (Get-UssConnection).Default | Should -BeFalse
        (Get-Failure { Get-UssPackage }).FullyQualifiedErrorId | Should -Be 'NotConnected,Get-UssPackage'
    }

    It 'a connection that was ended is InvalidHandle' {
        $connection = Connect-UssServer @atA
        Disconnect-UssServer $connection
        (Get-Failure { Get-UssPackage -Server $connection }).FullyQualifiedErrorId | Should -Be 'InvalidHandle,Get-UssPackage'
        (Get-Failure { Disconnect-UssServer $a.Url }).FullyQualifiedErrorId | Should -Be 'NotConnected,Disconnect-UssServer'
    }

    It 'a connection object works in a parallel runspace, the default does not' {
        $connection = Connect-UssServer @atA
        $module = $env:USS_TEST_MODULE
        $result = 1..2 | ForEach-Object -Parallel {
            Import-Module $using:module
            (Get-UssPackageVersion 'example-package' -Server $using:connection).Version
            try { Get-UssPackage } catch { $_.FullyQualifiedErrorId }
        }
        @($result | Sort-Object -Unique) -join ' ' | Should -Be '2.0.0 NotConnected,Get-UssPackage'
    }

    It 'a connection object of another process is InvalidHandle' {
        $connection = Connect-UssServer @atA
        $copy = [System.Management.Automation.PSSerializer]::Deserialize([System.Management.Automation.PSSerializer]::Serialize($connection))
        $failure = Get-Failure { Get-UssPackage -Server $copy }
        $failure.FullyQualifiedErrorId | Should -Be 'InvalidHandle,Get-UssPackage'
        $failure.ErrorDetails.RecommendedAction | Should -Match 'Connect-UssServer'
    }

    It 'the connection objects serialize without a token' {
        $connection = Connect-UssServer @atA
        $text = [System.Management.Automation.PSSerializer]::Serialize($connection) + ($connection | ConvertTo-Json -Depth 5) + ($connection | Format-List * | Out-String)
        $text | Should -Not -Match ([regex]::Escape($a.Token))
    }

    It 'without names, connections and credentials the request goes unauthenticated' {
        Get-UssPackage -Server $a.Url -ErrorAction SilentlyContinue -ErrorVariable failure | Should -BeNullOrEmpty
        $failure[0].FullyQualifiedErrorId | Should -Be 'CredentialMissing,Get-UssPackage'
        (Invoke-UssMethod '/api/v1/Settings/server' -Server $a.Url) | Should -Not -BeNullOrEmpty
    }

    It 'takes server, user and token from the environment' {
        $script = "Import-Module '$env:USS_TEST_MODULE'; (Get-UssPackageVersion 'example-package').Version; (Connect-UssServer).UserName"
        $shell = Invoke-UssTestShell $script @{ USS_SERVER = $a.Url; USS_USERNAME = 'anna'; USS_PERSONAL_TOKEN = $a.Token }
        $shell.Output -split '\s+' | Should -Be '2.0.0', 'anna'
        $shell.Errors | Should -BeNullOrEmpty
    }

    It 'takes the token of the environment for its own server only' {
        $script = "Import-Module '$env:USS_TEST_MODULE'; try { Get-UssPackage -Server '$($b.Url)' -ErrorAction Stop } catch { `$_.FullyQualifiedErrorId }"
        $shell = Invoke-UssTestShell $script @{ USS_SERVER = $a.Url; USS_USERNAME = 'anna'; USS_PERSONAL_TOKEN = $a.Token }
        $shell.Output | Should -Be 'CredentialMissing,Get-UssPackage'
    }

    # Windows' own environment has what a script sets.
    if ($onUnix) {
        It 'says where a token has to be set that only .NET has' {
            $script = "`$env:USS_PERSONAL_TOKEN = 'x'; Import-Module '$env:USS_TEST_MODULE'; try { Get-UssPackage } catch { `$_.FullyQualifiedErrorId; `$_.ErrorDetails.RecommendedAction }"
            $shell = Invoke-UssTestShell $script @{ USS_SERVER = $a.Url; USS_USERNAME = 'anna' }
            $shell.Output | Should -Match '^InvalidArgument,Get-UssPackage\s+.*before PowerShell starts'
        }
    }

    It 'reads the source of a copy from its own variables' {
        $script = "Import-Module '$env:USS_TEST_MODULE'; (Copy-UssPackageFromServer 'example-runtime' -SourceServer '$($a.Url)' -WhatIf).Status"
        $shell = Invoke-UssTestShell $script @{
            USS_SERVER = $b.Url; USS_USERNAME = 'bert'; USS_PERSONAL_TOKEN = $b.Token
            USS_SOURCE_SERVER = $a.Url; USS_SOURCE_USERNAME = 'anna'; USS_SOURCE_PERSONAL_TOKEN = $a.Token
        }
        $shell.Output | Should -Match 'WouldCopy$'
    }

    It 'takes routes from -RouteFile and refuses a bad file whole' {
        $routes = Join-Path $folder 'routes.json'
        '{ "nonsense": { "method": "GET", "uri": "/x" } }' | Set-Content $routes
        Push-Location $folder
        try { $failure = Get-Failure { Get-UssPackage @atA -RouteFile 'routes.json' } } finally { Pop-Location }
        $failure.FullyQualifiedErrorId | Should -Be 'InvalidArgument,Get-UssPackage'
        "$failure" | Should -Match 'nonsense'
    }
}

Describe 'Get-UssPackage' {
    BeforeEach { Connect-UssServer @atA | Out-Null }

    It 'lists all, or those that ids and wildcards name' {
        (Get-UssPackage).Id | Sort-Object | Should -Be 'bundle/my-pos', 'example-package', 'example-runtime'
        (Get-UssPackage 'example-*').Id | Sort-Object | Should -Be 'example-package', 'example-runtime'
        (Get-UssPackage -Id 'bundle/my-pos').LatestVersion | Should -Be '1.0.0'
        Get-UssPackage 'nothing*' | Should -BeNullOrEmpty
    }

    It 'an unknown id is an error, the others are returned' {
        (Get-UssPackage 'missing', 'example-runtime' -ErrorAction SilentlyContinue -ErrorVariable failure).Id | Should -Be 'example-runtime'
        $failure[0].FullyQualifiedErrorId | Should -Be 'PackageNotFound,Get-UssPackage'
    }

    It 'returns typed values' {
        $package = Get-UssPackage 'example-runtime'
        $package.PSTypeNames[0] | Should -Be 'Uss.Package'
        $package.Size | Should -BeOfType ([long])
        $package.Published | Should -BeOfType ([datetime])
        $package.Published.Kind | Should -Be 'Utc'
        $package.Sha256 | Should -MatchExactly '^[0-9a-f]{64}$'
    }
}

Describe 'Get-UssPackageVersion' {
    BeforeEach { Connect-UssServer @atA | Out-Null }

    It 'selects by the query' -ForEach @(
        @{ Query = ''; Version = '2.0.0' }, @{ Query = '_'; Version = '1.0.0' }, @{ Query = '<2.0'; Version = '1.1.0' }
        @{ Query = '*<2.0'; Version = '1.2.0-rc.1' }, @{ Query = '1.2.0-rc.1'; Version = '1.2.0-rc.1' }
    ) {
        (Get-UssPackageVersion 'example-package' $Query).Version | Should -Be $Version
    }

    It 'returns all newest first, and they sort by SortKey' {
        $all = Get-UssPackageVersion 'example-package' '*' -All
        $all.Version | Should -Be '2.0.0', '1.2.0-rc.1', '1.1.0', '1.0.0'
        ($all | Format-List | Out-String) | Should -Not -Match 'SortKey'
        ($all | Sort-Object SortKey).Version | Should -Be '1.0.0', '1.1.0', '1.2.0-rc.1', '2.0.0'
    }

    It 'takes ids, hashtables and objects from the pipeline' {
        ('example-package', 'example-runtime' | Get-UssPackageVersion).Version | Should -Be '2.0.0', '1.0.0'
        (@{ Id = 'example-package'; Version = '1.0.0' } | Get-UssPackageVersion).Version | Should -Be '1.0.0'
        (@{ PackageId = 'example-package'; Id = 'x'; VersionQuery = '_'; Version = '2.0.0' } | Get-UssPackageVersion).Version | Should -Be '1.0.0'
        ([pscustomobject] @{ PackageId = 'example-package'; VersionQuery = '1.1.0' } | Get-UssPackageVersion).Version | Should -Be '1.1.0'
        (Get-UssPackage 'example-*' | Get-UssPackageVersion).Id | Sort-Object | Should -Be 'example-package', 'example-runtime'
        ((Get-UssPackageVersion 'example-package').Dependencies | Get-UssPackageVersion).Id | Should -Be 'example-runtime'
        (Get-UssPackageVersion -Id 'example-package' -Version '1.0.0').Version | Should -Be '1.0.0'
    }

    It 'an explicit query wins over what elements say' {
        (@{ Id = 'example-package'; Version = '1.0.0' } | Get-UssPackageVersion -VersionQuery '1.1.0').Version | Should -Be '1.1.0'
        (@{ Id = 'example-package'; Version = '1.0.0' } | Get-UssPackageVersion -VersionQuery '').Version | Should -Be '2.0.0'
    }

    It 'an element without an id is refused with what it had' {
        $failure = Get-Failure { @{ Nmae = 'x'; Version = '1' } | Get-UssPackageVersion }
        $failure.FullyQualifiedErrorId | Should -Be 'InvalidArgument,Get-UssPackageVersion'
        "$failure" | Should -Match 'Nmae'
    }

    It 'returns dependencies as an array of typed objects' {
        $version = Get-UssPackageVersion 'example-package'
        $version.Dependencies.GetType() | Should -Be ([object[]])
        $version.Dependencies[0].PSTypeNames[0] | Should -Be 'Uss.Dependency'
        $version.Dependencies[0].PackageId | Should -Be 'example-runtime'
        $version.Dependencies[0].Optional | Should -BeFalse
        (Get-UssPackageVersion 'example-runtime').Dependencies.GetType() | Should -Be ([object[]])
        (Get-UssPackageVersion 'example-runtime').Dependencies.Count | Should -Be 0
    }

    It 'includes what is needed' {
        (Get-UssPackageVersion 'bundle/my-pos' -IncludeDependencies).Id | Sort-Object | Should -Be 'bundle/my-pos', 'example-package', 'example-runtime'
    }

    It 'reports an item that fails and goes on' {
        $found = 'missing', 'example-runtime' | Get-UssPackageVersion -ErrorAction SilentlyContinue -ErrorVariable failure
        $found.Id | Should -Be 'example-runtime'
        $failure[0].FullyQualifiedErrorId | Should -Be 'PackageNotFound,Get-UssPackageVersion'
        $failure[0].TargetObject | Should -Be 'missing'
    }

    It 'converts to clean JSON' {
        $json = Get-UssPackageVersion 'example-package' | ConvertTo-Json -Depth 5 | ConvertFrom-Json
        $json.PSObject.Properties.Name | Should -Be 'Id', 'Version', 'Size', 'Sha256', 'Published', 'Dependencies', 'SortKey'
        $json.Dependencies[0].PSObject.Properties.Name | Should -Be 'PackageId', 'VersionQuery', 'Optional', 'OnlyRestrictVersion'
    }

    It 'shows a table with sizes for people' {
        $text = Get-UssPackageVersion 'example-package' | Out-String
        $text | Should -Match 'Id\s+Version\s+Size\s+Published\s+Dependencies'
        $text | Should -MatchExactly '[\d.]+ kB'
    }
}

Describe 'Resolve-UssDependency' {
    BeforeEach { Connect-UssServer @atA | Out-Null }

    It 'returns what is needed before what needs it' {
        (Resolve-UssDependency 'bundle/my-pos').Id | Should -Be 'example-runtime', 'example-package', 'bundle/my-pos'
        (Resolve-UssDependencies 'example-package').Id | Should -Be 'example-runtime', 'example-package'
    }

    It 'runs once for all of the pipeline' {
        ('example-package', 'bundle/my-pos' | Resolve-UssDependency).Id | Should -Be 'example-runtime', 'example-package', 'bundle/my-pos'
    }
}

Describe 'Test-UssPackage' {
    BeforeEach { Connect-UssServer @atA | Out-Null }

    It 'tells what is there' {
        Test-UssPackage 'example-package' | Should -BeTrue
        Test-UssPackage 'example-package' '1.0.0' | Should -BeTrue
        Test-UssPackage 'example-package' '9.0.0' | Should -BeFalse
        Test-UssPackage 'missing' | Should -BeFalse
        'example-package', 'missing' | Test-UssPackage | Should -Be $true, $false
        Test-UssPackage 'missing' | Should -BeOfType ([bool])
    }

    It 'any other failure is an error' {
        Test-UssPackage 'example-package' -Credential (New-UssTestCredential 'anna' 'wrong') -ErrorAction SilentlyContinue -ErrorVariable failure | Should -BeNullOrEmpty
        $failure[0].FullyQualifiedErrorId | Should -Be 'AuthenticationFailed,Test-UssPackage'
    }
}

Describe 'Get-UssInstaller, Copy-UssInstallerFromServer' {
    It 'lists by id and name' {
        $installer = Get-UssInstaller @atA
        $installer.PSTypeNames[0] | Should -Be 'Uss.Installer'
        $installer.FileName | Should -Be 'Setup.exe'
        (Get-UssInstaller -Name 'Example*' @atA).Id | Should -Be $installer.Id
        (Get-UssInstaller $installer.Id @atA).Name | Should -Be 'Example setup'
        Get-UssInstaller -Name 'Nothing*' @atA | Should -BeNullOrEmpty
        Get-UssInstaller ([guid]::NewGuid()) @atA -ErrorAction SilentlyContinue -ErrorVariable failure | Should -BeNullOrEmpty
        $failure[0].FullyQualifiedErrorId | Should -Be 'InstallerNotFound,Get-UssInstaller'
    }

    It 'copies by name, then skips by id' {
        $from = @{ SourceServer = $a.Url; SourceCredential = $a.Credential }
        $id = (Get-UssInstaller @atA).Id
        (Copy-UssInstallerFromServer -Name 'Example*' @from @atB -WhatIf).Status | Should -Be 'WouldCopy'
        Get-UssInstaller @atB | Should -BeNullOrEmpty
        $row = Copy-UssInstallerFromServer -Name 'Example*' @from @atB
        $row.Status | Should -Be 'Copied'
        $row.Id | Should -Be $id
        (Get-UssInstaller @atB).Sha256 | Should -Be (Get-UssInstaller @atA).Sha256
        (Copy-UssInstallerFromServer $id @from @atB).Status | Should -Be 'Skipped'
    }
}

Describe 'New-UssPackage, Remove-UssPackage' {
    It 'makes a package that the server takes, and removes it again' {
        $payload = Join-Path $folder 'payload.txt'
        'hello' | Set-Content $payload
        Push-Location $folder
        try {
            $file = New-UssPackage -Id 'made/here' -Version '1.0.0' -Name 'Made' -OutputDir . -InputPath 'payload.txt' `
                -Dependencies 'example-runtime', @{ Id = 'example-package'; Version = '>=1.0'; Optional = $true }
        }
        finally { Pop-Location }
        $file.PSTypeNames[0] | Should -Be 'Uss.PackageFile'
        $file.Path | Should -Exist
        $file.Size | Should -Be (Get-Item $file.Path).Length
        $file.Sha256 | Should -Be (Get-FileHash $file.Path).Hash.ToLowerInvariant()
        Invoke-UssServerProgram package add $file.Path --data $a.Data | Out-Null
        $version = Get-UssPackageVersion 'made/here' @atA
        $version.Dependencies.PackageId | Should -Be 'example-runtime', 'example-package'
        $version.Dependencies.Optional | Should -Be $false, $true

        Remove-UssPackage 'made/here' '1.0.0' @atA -WhatIf
        Test-UssPackage 'made/here' @atA | Should -BeTrue
        Remove-UssPackage 'made/here' '1.0.0' @atA -Force -WhatIf
        Test-UssPackage 'made/here' @atA | Should -BeTrue
        Remove-UssPackage 'made/here' '1.0.0' @atA -Force | Should -BeNullOrEmpty
        Test-UssPackage 'made/here' @atA | Should -BeFalse
    }

    It 'does not overwrite without -Force, and nothing with -WhatIf' {
        $out = Join-Path $folder 'archives'
        New-Item -ItemType Directory $out | Out-Null
        New-UssPackage 'b' '1.0.0' -OutputDir $out -WhatIf | Should -BeNullOrEmpty
        Get-ChildItem $out | Should -BeNullOrEmpty
        $first = New-UssPackage 'b' '1.0.0' $out -Dependencies 'a'
        New-UssPackage 'b' '1.0.0' $out -Dependencies 'a' -ErrorAction SilentlyContinue -ErrorVariable failure | Should -BeNullOrEmpty
        $failure.Count | Should -BeGreaterThan 0
        (New-UssPackage 'b' '1.0.0' $out -Dependencies 'a' -Force).Path | Should -Be $first.Path
    }

    It 'removes exact versions or all, never by a range' {
        foreach ($version in '1.0.0', '1.1.0-rc', '2.0.0') { Add-UssTestPackage $a 'old-package' $version | Out-Null }
        (Get-Failure { Remove-UssPackage 'old-package' '>=1.0' @atA -Force }).FullyQualifiedErrorId | Should -Be 'InvalidArgument,Remove-UssPackage'
        (Get-Failure { Remove-UssPackage 'old-package' @atA -Force }).FullyQualifiedErrorId | Should -Be 'InvalidArgument,Remove-UssPackage'
        @(Get-UssPackageVersion 'old-package' '*' -All @atA).Count | Should -Be 3
        Get-UssPackageVersion 'old-package' '1.0.0' @atA | Remove-UssPackage @atA -Confirm:$false
        (Get-UssPackageVersion 'old-package' '*' -All @atA).Version | Should -Be '2.0.0', '1.1.0-rc'
        Get-UssPackageVersion 'old-package' @atA | Remove-UssPackage -All @atA -Force
        Test-UssPackage 'old-package' '*' @atA | Should -BeFalse
        Remove-UssPackage 'old-package' '1.0.0' @atA -Force -ErrorAction SilentlyContinue -ErrorVariable failure
        $failure[0].FullyQualifiedErrorId | Should -Be 'PackageNotFound,Remove-UssPackage'
    }
}

Describe 'Invoke-UssMethod' {
    BeforeEach { Connect-UssServer @atA | Out-Null }

    It 'returns JSON as objects with dates in UTC' {
        $versions = Invoke-UssMethod '/api/v1/Packages/versions?packageId=example-package'
        $versions.Count | Should -Be 4
        $versions[0].packageId | Should -Be 'example-package'
        $versions[0].published | Should -BeOfType ([datetime])
        $versions[0].published.Kind | Should -Be 'Utc'
        $versions[0].dependencies.GetType() | Should -Be ([object[]])
    }

    It 'sends strings, bytes, and dictionaries as JSON' -ForEach @(
        @{ Name = 'string'; Body = '{"packageIds":["example-runtime"]}' }
        @{ Name = 'bytes'; Body = [System.Text.Encoding]::UTF8.GetBytes('{"packageIds":["example-runtime"]}') }
        @{ Name = 'dictionary'; Body = @{ packageIds = @('example-runtime') } }
        @{ Name = 'object'; Body = [pscustomobject] @{ packageIds = @('example-runtime') } }
    ) {
        (Invoke-UssMethod '/api/v1/Packages/versions/query' POST -Body $Body -ContentType 'application/json').packageId | Should -Be 'example-runtime'
    }

    It 'writes an answer to a file and sends one' {
        $file = Join-Path $folder 'content.zip'
        $version = Get-UssPackageVersion 'example-runtime'
        Invoke-UssMethod "/api/v1/Packages/content?packageId=example-runtime&version=$($version.Version)" -OutFile $file | Should -BeNullOrEmpty
        (Get-FileHash $file).Hash.ToLowerInvariant() | Should -Be $version.Sha256
        (Invoke-UssMethod '/api/v1/Packages' POST -InFile $file -ContentType 'application/zip' @atB) | Should -Not -BeNullOrEmpty
        Test-UssPackage 'example-runtime' @atB | Should -BeTrue
        Remove-UssPackage 'example-runtime' $version.Version @atB -Force
    }

    It 'never leaves the server' {
        (Get-Failure { Invoke-UssMethod 'https://elsewhere.example/api' }).FullyQualifiedErrorId | Should -Be 'InvalidArgument,Invoke-UssMethod'
        (Get-Failure { Invoke-UssMethod '@elsewhere.example/api' }).FullyQualifiedErrorId | Should -Be 'InvalidArgument,Invoke-UssMethod'
    }
}
