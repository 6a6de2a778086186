# The module itself: what importing loads, its help and completion, how it finds and loads the library.

. $PSScriptRoot/Platform.ps1

BeforeDiscovery {
    $cmdlets = (Import-PowerShellDataFile (Join-Path $env:USS_TEST_MODULE 'Uss.psd1')).FunctionsToExport
}

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    . $PSScriptRoot/Help.ps1
    Import-Module $env:USS_TEST_MODULE -Force
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-module-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $a = Start-UssTestServer $folder 'anna'
    $b = Start-UssTestServer $folder 'bert'
    Add-UssTestPackage $a 'example-runtime' '1.0.0' | Out-Null
    Add-UssTestPackage $a 'example-package' '1.0.0' 'example-runtime=^' | Out-Null
    Add-UssTestPackage $a 'example-package' '1.1.0' 'example-runtime=^' | Out-Null
    $setup = Join-Path $folder 'Setup.exe'
    [System.IO.File]::WriteAllBytes($setup, [byte[]] (1..200))
    Invoke-UssServerProgram installer add $setup --name 'Example setup' --data $a.Data | Out-Null
    $module = $env:USS_TEST_MODULE

    function Copy-Module {
        # A copy of the staged module with another native library, or none.
        param([string] $Name, [scriptblock] $Change)
        $copy = Join-Path $folder $Name
        Copy-Item $module $copy -Recurse
        $library = Get-ChildItem (Join-Path $copy 'native') -Recurse -File
        & $Change $library.FullName
        $copy
    }
}

AfterAll {
    @(Get-UssConnection) | ForEach-Object { Disconnect-UssServer $_ }
    $a, $b | Stop-UssTestServer
    Remove-Item $folder -Recurse -Force
}

Describe 'Importing' {
    It 'loads no other module, not even with the first calls' {
        $shell = Invoke-UssTestShell "Import-Module '$module'; Set-StrictMode -Version Latest
            `$secret = [securestring]::new(); foreach (`$c in '$($a.Token)'.ToCharArray()) { `$secret.AppendChar(`$c) }
            `$credential = [pscredential]::new('anna', `$secret)
            `$null = Connect-UssServer '$($a.Url)' `$credential
            `$v = Get-UssPackageVersion 'example-package'
            `$null = Copy-UssPackageFromServer 'example-package' -SourceServer '$($a.Url)' -Server '$($a.Url)'
            `$v.Version; [string]::Join(',', @(foreach (`$m in Get-Module) { `$m.Name }))"
        $shell.Errors | Should -BeNullOrEmpty
        $shell.Output -split '\s+' | Should -Be '1.1.0', 'Uss'
    }

    It 'exports the cmdlets and the alias, nothing else' {
        $exported = Get-Module Uss
        $exported.ExportedFunctions.Keys | Sort-Object | Should -Be ((Import-PowerShellDataFile "$module/Uss.psd1").FunctionsToExport | Sort-Object)
        $exported.ExportedAliases.Keys | Should -Be 'Resolve-UssDependencies'
        $exported.ExportedVariables.Count | Should -Be 0
    }

    It 'module, loader and library have one version' {
        $version = (Import-PowerShellDataFile "$module/Uss.psd1").ModuleVersion
        (Import-PowerShellDataFile "$module/Uss.format.psd1").ModuleVersion | Should -Be $version
        Get-Content "$module/Native.psm1" -Raw | Should -Match "LibraryVersion = '$([regex]::Escape($version))'"
    }

    It 'works again after the module was removed and imported' {
        Remove-Module Uss
        Import-Module $module
        (Get-UssPackageVersion 'example-package' -Server $a.Url -Credential $a.Credential).Version | Should -Be '1.1.0'
        @([System.AppDomain]::CurrentDomain.GetAssemblies() | Where-Object { $_.GetName().Name -eq 'Uss.Native' }).Count | Should -Be 1
    }
}

Describe 'The native library' {
    if (-not $onWine) {
        It 'is found again in the same session once it is repaired' {
            $copy = Copy-Module 'repaired' { Move-Item $args[0] "$($args[0]).away" }
            $away = (Get-ChildItem "$copy/native" -Recurse -File).FullName
            $shell = Invoke-UssTestShell "Import-Module '$copy/Uss.psd1'
                try { Get-UssPackage -Server '$($a.Url)' } catch { `$_.FullyQualifiedErrorId }
                [System.IO.File]::Move('$away', '$($away.Substring(0, $away.Length - 5))')
                (Invoke-UssMethod '/api/v1/Settings/server' -Server '$($a.Url)').GetType().Name"
            $shell.Output -split '\s+' | Should -Be 'NativeLibraryUnavailable,Get-UssPackage', 'PSCustomObject'
        }
    }

    It 'is shared by two copies of the module in one process' {
        $copy = Copy-Module 'second' { Remove-Item $args[0] }
        $shell = Invoke-UssTestShell "Import-Module '$module'; `$null = Invoke-UssMethod '/api/v1/Settings/server' -Server '$($a.Url)'; Remove-Module Uss
            Import-Module '$copy/Uss.psd1'; (Invoke-UssMethod '/api/v1/Settings/server' -Server '$($a.Url)').GetType().Name"
        $shell.Output | Should -Be 'PSCustomObject'
    }
}

Describe 'Help' {
    It '<_> is documented in full' -ForEach $cmdlets {
        Assert-UssHelp $_
    }

    It 'each cmdlet that returns something says what' {
        foreach ($name in 'Connect-UssServer', 'Get-UssPackage', 'Get-UssPackageVersion', 'Copy-UssPackageFromServer', 'Test-UssPackage') {
            (Get-Command $name).OutputType.Name | Should -Not -BeNullOrEmpty -Because $name
        }
    }

    It 'about_Uss is there' {
        Join-Path $module 'en-US/about_Uss.help.txt' | Should -FileContentMatch 'VERSION QUERIES'
    }

    It 'the examples of <_> run as they are written' -ForEach $cmdlets {
        Connect-UssServer $a.Url $a.Credential | Out-Null
        Push-Location $folder
        try {
            foreach ($example in (Get-Help $_ -Full).examples.example) {
                # Filled in, as in the guide: the servers' addresses, and the tokens.
                $code = $example.code.Replace('http://localhost:8060', $a.Url).Replace('http://localhost:8061', $b.Url)
                $code = $code.Replace('your_username@example.com', 'anna').Replace('token_hash', $a.Token).Replace('your_password', $a.Password)
                $code = $code -replace "(-Server $([regex]::Escape($b.Url)) -Credential )\`$credential", '$1$other'
                $other = $b.Credential
                $null = $other
                & ([scriptblock]::Create("`$ErrorActionPreference = 'Stop'; $code")) | Out-Null
            }
        }
        finally { Pop-Location }
        Add-UssTestPackage $a 'example-package' '1.0.0' 'example-runtime=^' | Out-Null
    }
}

Describe 'Completion' {
    BeforeAll {
        Connect-UssServer $a.Url $a.Credential | Out-Null
        function Get-Completion { param([string] $Line) @(Get-UssTestCompletion $Line | ForEach-Object CompletionText) }
    }

    It 'completes connected servers' {
        Get-Completion 'Get-UssPackage -Server http' | Should -Contain $a.Url
    }

    It 'completes package ids, versions and installers' {
        Get-Completion 'Get-UssPackageVersion exam' | Should -Be 'example-package', 'example-runtime'
        Get-Completion 'Get-UssPackageVersion example-package 1' | Should -Be '1.1.0', '1.0.0'
        Get-Completion "Copy-UssPackageFromServer -SourceServer $($a.Url) -PackageId example-r" | Should -Be 'example-runtime'
        Get-Completion 'Get-UssInstaller -Name Ex' | Should -Be "'Example setup'"
        Get-Completion 'Get-UssInstaller -InstallerId ' | Should -Contain (Get-UssInstaller).Id
    }

    It 'offers nothing when the server is not there, or is slow' {
        function Get-First { param([string] $Line) (TabExpansion2 $Line $Line.Length).CompletionMatches | ForEach-Object CompletionText }
        Get-First 'Get-UssPackageVersion exam -Server http://127.0.0.1:1' | Should -Not -Contain 'example-package'
        Add-UssTestFault $a @{ path = '/api/v1/Packages'; count = 10; action = @{ stall = 0 } }
        Get-First 'Get-UssPackageVersion exam' | Should -Not -Contain 'example-package'
        Clear-UssTestFault $a
        (Wait-UssNativeIdle).Operations | Should -Be 0
        $Error | ForEach-Object { "$_" } | Should -Not -Match 'Complete-Uss'
    }
}
