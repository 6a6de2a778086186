# The preferences of the script that calls: -WhatIf, -Confirm and the $...Preference variables mean in a script, and in its
# functions, what they mean for a compiled cmdlet. By itself a module sees the global ones alone.

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-preferences-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder, (Join-Path $folder 'saved') | Out-Null
    $a = Start-UssTestServer $folder 'anna' -Arguments '--demo', '--state-time', '100'
    $b = Start-UssTestServer $folder 'bert'
    $package = Add-UssTestPackage $a 'app' '1.0.0'
    Add-UssTestPackage $b 'old' '1.0.0' | Out-Null
    Invoke-UssServerProgram installer add $package --name 'Setup' --data $a.Data | Out-Null
    Import-Module $env:USS_TEST_MODULE
    $null = Connect-UssServer $b.Url -Credential $b.Credential
    $null = Invoke-UssServerProgram token create --user bert --name 'kept' --data $b.Data
    Import-Module (Join-Path (Split-Path $env:USS_TEST_MODULE) 'Vap')
    $atA = @{ SourceServer = $a.Url; SourceCredential = $a.Credential }
    $asPerson = @{ Server = $b.Url; Credential = $b.Person }
    $signedIn = Connect-VapPlatform $a.Url -Credential $a.Person -SignIn
    $kept = Get-UssPersonalToken -Name 'kept' @asPerson
    $access = New-VapToken 'kept' -Scope 'IDE Plugins'
    $environment = @(Get-VapEnvironment)[0].Name

    function Invoke-Script {
        # Runs a script's text as a script file that a person calls.
        param([string] $Text, [hashtable] $With = @{})
        $file = Join-Path $folder "$([guid]::NewGuid()).ps1"
        $code = "[CmdletBinding(SupportsShouldProcess)] param()`n$Text"
        [System.IO.File]::WriteAllText($file, $code)
        & $file @With
    }

    function Get-State {
        # All that the cmdlets below could change.
        # A new value of a token shows in nothing but the servers' audit.
        $changes = foreach ($server in $a, $b) {
            $lines = @(Invoke-UssMethod '/api/v1/Audit?limit=1000' -Server $server.Url -Credential $server.Credential)
            "$(@($lines | Where-Object Action -NotMatch 'session|exchange').Count) changes"
        }
        $tokens = Get-UssPersonalToken @asPerson | ForEach-Object { "$($_.Id) $($_.Name) $($_.Status)" }
        $access = Get-VapToken | ForEach-Object { "$($_.Id) $($_.Description)" }
        $packages = Get-UssPackage | ForEach-Object { $_.Id }
        $installers = Get-UssInstaller | ForEach-Object { $_.Name }
        $environments = Get-VapEnvironment | ForEach-Object { "$($_.Name) $($_.Status)" }
        $files = Get-ChildItem $folder -Recurse -Filter '*.zip' | ForEach-Object { $_.Name }
        @($changes) + $tokens + $access + $packages + $installers + $environments + $files -join '; '
    }
}

AfterAll {
    Disconnect-UssServer $b.Url
    Disconnect-VapPlatform $signedIn
    $a, $b | Stop-UssTestServer
    Remove-UssTestFolder $folder
}

Describe '-WhatIf of the script that calls' {
    It 'holds <Name> back' -ForEach @(
        @{ Name = 'Copy-UssPackageFromServer'; Call = 'Copy-UssPackageFromServer app @atA' }
        @{ Name = 'Copy-UssInstallerFromServer'; Call = 'Copy-UssInstallerFromServer -Name Setup @atA' }
        @{ Name = 'Save-UssPackage'; Call = 'Save-UssPackage old -Path $folder/saved' }
        @{ Name = 'Import-UssPackage'; Call = 'Import-UssPackage $package' }
        @{ Name = 'New-UssPackage'; Call = 'New-UssPackage made 1.0 $folder/made' }
        @{ Name = 'Remove-UssPackage'; Call = 'Remove-UssPackage old 1.0.0' }
        @{ Name = 'Remove-UssPackage -Force'; Call = 'Remove-UssPackage old 1.0.0 -Force' }
        @{ Name = 'New-UssPersonalToken'; Call = 'New-UssPersonalToken new @asPerson' }
        @{ Name = 'Set-UssPersonalToken'; Call = '$kept | Set-UssPersonalToken -Name other @asPerson' }
        @{ Name = 'Reset-UssPersonalToken'; Call = '$kept | Reset-UssPersonalToken -Force @asPerson' }
        @{ Name = 'Copy-UssPersonalToken'; Call = '$kept | Copy-UssPersonalToken @asPerson' }
        @{ Name = 'Revoke-UssPersonalToken'; Call = '$kept | Revoke-UssPersonalToken -Force @asPerson' }
        @{ Name = 'Remove-UssPersonalToken'; Call = '$kept | Remove-UssPersonalToken -Force @asPerson' }
        @{ Name = 'Start-VapEnvironment'; Call = 'Start-VapEnvironment $environment' }
        @{ Name = 'Stop-VapEnvironment'; Call = 'Stop-VapEnvironment $environment' }
        @{ Name = 'Restart-VapEnvironment'; Call = 'Restart-VapEnvironment $environment' }
        @{ Name = 'New-VapToken'; Call = 'New-VapToken new -Scope "IDE Plugins"' }
        @{ Name = 'Set-VapToken'; Call = '$access | Set-VapToken -Description other' }
        @{ Name = 'Copy-VapToken'; Call = '$access | Copy-VapToken' }
        @{ Name = 'Reset-VapToken'; Call = '$access | Reset-VapToken -Force' }
        @{ Name = 'Remove-VapToken'; Call = '$access | Remove-VapToken -Force' }
    ) {
        $before = Get-State
        Invoke-Script "function Deploy { $Call }; Deploy" @{ WhatIf = $true } | Out-Null
        Get-State | Should -Be $before
    }

    It 'is known to be held back for each cmdlet that has it' {
        $tested = Get-Content $PSCommandPath -Raw
        foreach ($module in 'Uss', 'Vap') {
            foreach ($command in (Get-Module $module).ExportedFunctions.Values) {
                if ($command.Parameters.ContainsKey('WhatIf')) { $tested | Should -Match "Name = '$($command.Name)'" }
            }
        }
    }

    It 'is overruled by the cmdlet''s own' {
        Invoke-Script 'Copy-UssPackageFromServer app @atA -WhatIf:$false' @{ WhatIf = $true } | Out-Null
        Test-UssPackage app 1.0.0 | Should -BeTrue
        Invoke-Script 'Remove-UssPackage app 1.0.0 -Force -WhatIf:$false' @{ WhatIf = $true }
        Test-UssPackage app 1.0.0 | Should -BeFalse
    }
}

Describe 'The preferences of the script that calls' {
    It '-Confirm:$false asks nobody, where nobody is there to ask' {
        Add-UssTestPackage $b 'gone' '1.0.0' | Out-Null
        Invoke-Script 'Remove-UssPackage gone 1.0.0' @{ Confirm = $false }
        Test-UssPackage gone 1.0.0 | Should -BeFalse
    }

    It '$ErrorActionPreference ends it at the first error, of a call and of an item' {
        { Invoke-Script '$ErrorActionPreference = "Stop"; Get-UssPackageVersion nothing; "went on"' } | Should -Throw -ErrorId 'PackageNotFound,Get-UssPackageVersion'
        { Invoke-Script '$ErrorActionPreference = "Stop"; Remove-UssPackage nothing 1.0 -Force; "went on"' } | Should -Throw
        Invoke-Script '$ErrorActionPreference = "SilentlyContinue"; Get-UssPackageVersion nothing; "went on"' 2>&1 | Should -Be 'went on'
        Invoke-Script 'Get-UssPackageVersion nothing -ErrorAction SilentlyContinue; "went on"' 2>&1 | Should -Be 'went on'
    }

    It '$VerbosePreference and $DebugPreference tell what happens' {
        $lines = Invoke-Script '$VerbosePreference = "Continue"; $null = Get-UssPackageVersion old' 4>&1
        "$lines" | Should -Match 'GET http://127.0.0.1'
        $lines = Invoke-Script '$null = Get-UssPackageVersion old' @{ Verbose = $true } 4>&1
        "$lines" | Should -Match 'GET http://127.0.0.1'
        Invoke-Script '$VerbosePreference = "Continue"; $null = Get-UssPackageVersion old -Verbose:$false' 4>&1 | Should -BeNullOrEmpty
        $lines = Invoke-Script '$DebugPreference = "Continue"; $null = Get-UssPackageVersion old' 5>&1
        @($lines | Where-Object { $_ -is [System.Management.Automation.DebugRecord] }).Count | Should -BeGreaterThan 0
    }

    It '$WarningPreference keeps warnings away' {
        $soon = Invoke-UssServerProgram token create --user bert --name soon --expires ([datetime]::UtcNow.AddDays(5).ToString('o')) --data $b.Data
        $credential = New-UssTestCredential 'bert' $soon
        $connect = '$c = Connect-UssServer $b.Url -Credential $credential; Disconnect-UssServer $c; $null = Connect-UssServer $b.Url -Credential $b.Credential'
        Invoke-Script $connect 3>&1 | Should -Not -BeNullOrEmpty
        Invoke-Script "`$WarningPreference = 'SilentlyContinue'; $connect" 3>&1 | Should -BeNullOrEmpty
    }

    It '$ProgressPreference keeps the progress away' {
        $shell = New-UssTestRunner
        Add-UssTestFault $b @{ path = '/versions'; action = @{ delay = 1500 }; count = 2 }
        $file = Join-Path $folder 'quiet.ps1'
        [System.IO.File]::WriteAllText($file, 'param($Quiet) if ($Quiet) { $ProgressPreference = "SilentlyContinue" } $null = Get-UssPackageVersion old')
        $script = 'param($Module, $Url, $Credential, $File) $ErrorActionPreference = "Stop"; Import-Module $Module
            $null = Connect-UssServer $Url -Credential $Credential; & $File $true'
        try {
            [void] $shell.AddScript($script).AddArgument($env:USS_TEST_MODULE).AddArgument($b.Url).AddArgument($b.Credential).AddArgument($file)
            [void] $shell.Invoke()
            $shell.Streams.Progress | Should -BeNullOrEmpty
            $shell.Commands.Clear()
            [void] $shell.AddScript('param($File) & $File $false; Disconnect-UssServer').AddArgument($file)
            [void] $shell.Invoke()
            $shell.Streams.Progress | Should -Not -BeNullOrEmpty
        }
        finally { $shell.Dispose(); Clear-UssTestFault $b }
    }
}
