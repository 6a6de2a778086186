# Packages as files: Save-UssPackage and Import-UssPackage, with real servers and a folder.

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    Import-Module $env:USS_TEST_MODULE -Force
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-save-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $a = Start-UssTestServer $folder 'anna'
    $b = Start-UssTestServer $folder 'bert'
    $c = Start-UssTestServer $folder 'carl'
    Add-UssTestPackage $a 'runtime' '1.0.0' | Out-Null
    Add-UssTestPackage $a 'bundle/app' '2.0.0' 'runtime=>=1.0' | Out-Null
    Add-UssTestPackage $a 'bundle-app' '2.0.0' @() 3000 | Out-Null
    Add-UssTestPackage $a 'large' '1.0.0' @() 40000000 | Out-Null
    $atA = @{ Server = $a.Url; Credential = $a.Credential }
    $atB = @{ Server = $b.Url; Credential = $b.Credential }
    $atC = @{ Server = $c.Url; Credential = $c.Credential }

    function Get-AllFailure {
        # All errors of a script: those that are written, and the one that ends it last.
        param([scriptblock] $Script)
        # Pester's own is Stop, and would end a cmdlet at the first.
        $ErrorActionPreference = 'Continue'
        $found = @()
        try { & $Script 2>&1 | ForEach-Object { if ($_ -is [System.Management.Automation.ErrorRecord]) { $found += $_ } } } catch { $found += $_ }
        $found
    }
    function New-Folder {
        (New-Item -ItemType Directory -Path (Join-Path $folder ([guid]::NewGuid()))).FullName
    }
}

BeforeEach { $to = New-Folder }

AfterEach {
    $a, $b, $c | ForEach-Object { Clear-UssTestFault $_ }
    Get-UssPackage @atB | Remove-UssPackage -All @atB -Force
    Get-UssPackage @atC | Remove-UssPackage -All @atC -Force
}

AfterAll {
    Get-UssConnection | ForEach-Object { Disconnect-UssServer $_ }
    $a, $b, $c | Stop-UssTestServer
    Remove-Item $folder -Recurse -Force
}

Describe 'Save-UssPackage' {
    It 'writes what is needed, one file a package, and returns the files' {
        $files = Save-UssPackage 'bundle/app' -Path $to @atA
        $files | Should -BeOfType ([System.IO.FileInfo])
        $files.Name | Should -Be 'runtime-1.0.0.zip', 'bundle_app-2.0.0.zip'
        foreach ($file in $files) {
            $id = $file.Name.Split('-')[0].Replace('_', '/')
            (Get-FileHash $file.FullName).Hash | Should -Be (Get-UssPackageVersion $id @atA).Sha256
        }
        (Get-ChildItem $to -Force).Count | Should -Be 2
    }

    It 'keeps packages apart whose ids differ by a slash alone' {
        $files = 'bundle-app', 'bundle/app' | Save-UssPackage -Path $to -SkipDependencyCheck @atA
        $files.Name | Sort-Object { [int] [char] $_[6] } | Should -Be 'bundle-app-2.0.0.zip', 'bundle_app-2.0.0.zip'
    }

    It '-WhatIf returns the plan and writes nothing; the default folder is the current one' {
        Push-Location $to
        try {
            $rows = Save-UssPackage 'bundle/app' @atA -WhatIf
            $rows.Status | Should -Be 'WouldCopy', 'WouldCopy'
            $rows[0].Destination | Should -Be $to
            Get-ChildItem $to -Force | Should -BeNullOrEmpty
            (Save-UssPackage 'runtime' @atA).DirectoryName | Should -Be $to
        }
        finally { Pop-Location }
    }

    It 'leaves what is there, reads no content for it, and returns it too' {
        Save-UssPackage 'bundle/app' -Path $to @atA | Out-Null
        $before = Get-UssTestCount $a 'GET /api/v1/Packages/content'
        (Save-UssPackage 'bundle/app' -Path $to @atA -WhatIf).Status | Should -Be 'WouldSkip', 'WouldSkip'
        (Save-UssPackage 'bundle/app' -Path $to @atA).Count | Should -Be 2
        Get-UssTestCount $a 'GET /api/v1/Packages/content' | Should -Be $before
    }

    It 'a file with other bytes under that name is an error, and replaced with -Force' {
        $file = Join-Path $to 'runtime-1.0.0.zip'
        $other = Get-ChildItem (Split-Path $a.Data) -Filter 'bundle-app-2.0.0.zip'
        Copy-Item $other.FullName $file
        $failures = @(Get-AllFailure { Save-UssPackage 'runtime' -Path $to @atA })
        $failures[0].FullyQualifiedErrorId | Should -Be 'PackageAlreadyExists,Save-UssPackage'
        $failures[0].ErrorDetails.RecommendedAction | Should -Match '-Force'
        (Get-Item $file).Length | Should -Be $other.Length
        (Save-UssPackage 'runtime' -Path $to @atA -Force -WhatIf).Status | Should -Be 'WouldReplace'
        (Save-UssPackage 'runtime' -Path $to @atA -Force).FullName | Should -Be $file
        (Get-FileHash $file).Hash | Should -Be (Get-UssPackageVersion 'runtime' @atA).Sha256
    }

    It 'says what is wrong with the folder' {
        $missing = Join-Path $to 'not-there'
        $failure = @(Get-AllFailure { Save-UssPackage 'runtime' -Path $missing @atA })[0]
        $failure.FullyQualifiedErrorId | Should -Be 'InvalidArgument,Save-UssPackage'
        "$failure" | Should -Match ([regex]::Escape($missing))
        $file = Join-Path $to 'file'
        Set-Content $file 'x'
        "$(@(Get-AllFailure { Save-UssPackage 'runtime' -Path $file @atA })[0])" | Should -Match 'is a file'
    }

    # A folder that not even root can write to.
    if ($IsLinux) {
        It 'a folder that cannot be written to is PermissionDenied' {
            $failures = @(Get-AllFailure { Save-UssPackage 'bundle/app' -Path '/sys/kernel' @atA })
            $failures.FullyQualifiedErrorId | Should -Be 'PermissionDenied,Save-UssPackage', 'DependencyFailed,Save-UssPackage'
            $failures[0].TargetObject.Id | Should -Be 'runtime'
            $failures[0].TargetObject.Destination | Should -Be '/sys/kernel'
        }
    }

    It 'saves nothing whose bytes are not what the server tells' {
        Add-UssTestFault $a @{ path = '/content'; count = 100; action = @{ corrupt = 500 } }
        $failures = @(Get-AllFailure { Save-UssPackage 'runtime' -Path $to @atA })
        $failures.FullyQualifiedErrorId | Should -Be 'ChecksumMismatch,Save-UssPackage'
        Get-ChildItem $to -Force | Should -BeNullOrEmpty
    }

    It 'goes on after the source broke in the middle' {
        Add-UssTestFault $a @{ path = '/content'; count = 1; action = @{ reset = 20000000 } }
        $log = $(Save-UssPackage 'large' -Path $to @atA -Verbose) 4>&1
        @($log | Where-Object { $_ -is [System.Management.Automation.VerboseRecord] -and "$_" -match 'reads on from byte' }).Count | Should -BeGreaterThan 0
        (Get-FileHash (Join-Path $to 'large-1.0.0.zip')).Hash | Should -Be (Get-UssPackageVersion 'large' @atA).Sha256
    }

    It 'Select-Object -First 1 ends it, and nothing half-written has a name' {
        Add-UssTestFault $a @{ path = '/content'; query = 'packageId=large'; count = 100; action = @{ stall = 1000 } }
        $first = 'runtime', 'large' | Save-UssPackage -Path $to -ThrottleLimit 1 @atA | Select-Object -First 1
        $first.Name | Should -Be 'runtime-1.0.0.zip'
        $left = Wait-UssNativeIdle
        "$($left.Connections) $($left.Operations) $($left.Buffers) $($left.Tasks)" | Should -Be '0 0 0 0'
        (Get-ChildItem $to -Filter '*.zip').Name | Should -Be 'runtime-1.0.0.zip'
    }

    It 'tells unknown packages and wrong limits' {
        @(Get-AllFailure { Save-UssPackage 'missing' -Path $to @atA }).FullyQualifiedErrorId | Should -Be 'PackageNotFound,Save-UssPackage', 'PackageNotFound,Save-UssPackage'
        @(Get-AllFailure { Save-UssPackage 'runtime' -Path $to -ThrottleLimit 0 @atA })[0].FullyQualifiedErrorId | Should -Be 'InvalidArgument,Save-UssPackage'
    }
}

Describe 'Import-UssPackage' {
    BeforeAll {
        $kept = New-Folder
        Save-UssPackage 'bundle/app' -Path $kept @atA | Out-Null
    }

    It 'publishes files of a wildcard, dependencies first, then skips them' {
        $rows = Import-UssPackage "$kept/*.zip" @atB
        "$($rows.Id)" | Should -Be 'runtime bundle/app'
        $rows.Status | Should -Be 'Copied', 'Copied'
        $rows[0].PSTypeNames[0] | Should -Be 'Uss.CopyResult'
        $rows[0].Source | Should -Be $kept
        $rows[0].Destination | Should -Be $b.Url
        (Get-UssPackageVersion 'bundle/app' @atB).Sha256 | Should -Be (Get-UssPackageVersion 'bundle/app' @atA).Sha256
        (Import-UssPackage "$kept/*.zip" @atB).Status | Should -Be 'Skipped', 'Skipped'
    }

    It 'takes files, strings and saved packages from the pipeline, and literal paths' {
        (Get-ChildItem $kept -Filter '*.zip' | Import-UssPackage @atB).Count | Should -Be 2
        ("$kept/runtime-1.0.0.zip" | Import-UssPackage @atC).Status | Should -Be 'Copied'
        (Save-UssPackage 'bundle/app' -Path $kept @atA | Import-UssPackage @atC).Status | Should -Be 'Skipped', 'Copied'
        $odd = Join-Path $to 'a[1] b.zip'
        [System.IO.File]::Copy("$kept/runtime-1.0.0.zip", $odd)
        (Import-UssPackage -LiteralPath $odd @atC).Status | Should -Be 'Skipped'
        (New-UssPackage 'made' '1.0.0' -OutputDir $to | Import-UssPackage @atC).Id | Should -Be 'made'
        Import-UssPackage "$to/*.nothing" @atC | Should -BeNullOrEmpty
    }

    It '-WhatIf returns the plan, and asks in the words of the plan' {
        (Import-UssPackage "$kept/*.zip" @atB -WhatIf).Status | Should -Be 'WouldCopy', 'WouldCopy'
        Get-UssPackage @atB | Should -BeNullOrEmpty
        $shell = Invoke-UssTestShell @"
Import-Module '$env:USS_TEST_MODULE'
`$c = New-Object PSCredential 'bert', (ConvertTo-SecureString '$($b.Token)' -AsPlainText -Force)
`$null = Import-UssPackage '$kept/runtime-1.0.0.zip' -Server $($b.Url) -Credential `$c -WhatIf
"@
        $shell.Output | Should -Match "Copy from $([regex]::Escape($kept)).+ on target .runtime 1\.0\.0 \([\d.]+ kB\) to $($b.Url)"
    }

    It 'publishes to two destinations, and tells which one failed' {
        Connect-UssServer $b.Url $b.Credential | Out-Null
        Connect-UssServer $c.Url $c.Credential | Out-Null
        Add-UssTestFault $c @{ method = 'POST'; path = '/api/v1/Packages'; query = 'packageId=runtime'; count = 100; action = @{ status = @{ code = 507 } } }
        $rows = Import-UssPackage "$kept/*.zip" -Server $b.Url, $c.Url -ErrorAction SilentlyContinue -ErrorVariable failures
        "$($rows.Destination)" | Should -Be "$($b.Url) $($b.Url)"
        $failures.Count | Should -Be 2
        $failures[0].TargetObject.Destination | Should -Be $c.Url
        $failures[0].TargetObject.Id | Should -Be 'runtime'
        Clear-UssTestFault $c
        $rows = Import-UssPackage "$kept/*.zip" -Server $b.Url, $c.Url
        @($rows | Where-Object Destination -EQ $b.Url).Status | Should -Be 'Skipped', 'Skipped'
        @($rows | Where-Object Destination -EQ $c.Url).Status | Should -Be 'Copied', 'Copied'
        Get-UssConnection | ForEach-Object { Disconnect-UssServer $_ }
    }

    It 'reports every file that cannot be used, and publishes nothing' {
        Set-Content (Join-Path $to 'text.zip') 'no zip'
        Copy-Item "$kept/runtime-1.0.0.zip" $to
        $failures = @(Get-AllFailure { Import-UssPackage "$to/*.zip", "$to/absent.zip", $to @atB })
        $failures[0..2].FullyQualifiedErrorId | Should -Be 'InvalidPackage,Import-UssPackage', 'InvalidArgument,Import-UssPackage', 'InvalidArgument,Import-UssPackage'
        "$($failures[0])" | Should -Match 'text\.zip'
        "$($failures[1])" | Should -Match 'absent\.zip'
        Get-UssPackage @atB | Should -BeNullOrEmpty
    }

    It 'what a file needs is among the files or at the destination, unless -SkipDependencyCheck' {
        $app = "$kept/bundle_app-2.0.0.zip"
        $failures = @(Get-AllFailure { Import-UssPackage $app @atB })
        $failures[0].FullyQualifiedErrorId | Should -Be 'DependencyUnresolved,Import-UssPackage'
        "$($failures[0])" | Should -Match "needs runtime '>=1.0'"
        (Import-UssPackage $app @atB -SkipDependencyCheck).Status | Should -Be 'Copied'
        Import-UssPackage "$kept/runtime-1.0.0.zip" @atC | Out-Null
        (Import-UssPackage $app @atC).Status | Should -Be 'Copied'
    }

    It 'other bytes at the destination are an error, and replaced with -Force' {
        Add-UssTestPackage $b 'runtime' '1.0.0' @() 2000 | Out-Null
        @(Get-AllFailure { Import-UssPackage "$kept/runtime-1.0.0.zip" @atB })[0].FullyQualifiedErrorId | Should -Be 'PackageAlreadyExists,Import-UssPackage'
        (Import-UssPackage "$kept/runtime-1.0.0.zip" @atB -Force).Status | Should -Be 'Replaced'
    }

    It 'needs a file that can be named' {
        @(Get-AllFailure { Import-UssPackage -LiteralPath '' @atB })[0].FullyQualifiedErrorId | Should -Match 'ParameterArgumentValidationError'
    }
}

Describe 'Several destinations' {
    It 'Copy-UssPackageFromServer copies to each, with one credential or the connections'' own' {
        Connect-UssServer $b.Url $b.Credential | Out-Null
        Connect-UssServer $c.Url $c.Credential | Out-Null
        $rows = Copy-UssPackageFromServer 'bundle/app' -SourceServer $a.Url -SourceCredential $a.Credential -Server $b.Url, $c.Url
        @($rows | Where-Object Destination -EQ $b.Url).Id | Should -Be 'runtime', 'bundle/app'
        @($rows | Where-Object Destination -EQ $c.Url).Id | Should -Be 'runtime', 'bundle/app'
        Get-UssConnection | ForEach-Object { Disconnect-UssServer $_ }
        # One credential for both is refused by the server that does not know it.
        $failures = @(Get-AllFailure { Copy-UssPackageFromServer 'bundle/app' -SourceServer $a.Url -SourceCredential $a.Credential -Server $b.Url, $c.Url -Credential $b.Credential })
        $failures[0].FullyQualifiedErrorId | Should -Be 'AuthenticationFailed,Copy-UssPackageFromServer'
        $failures[0].Exception.Data['Server'] | Should -Be $c.Url
    }

    It 'Copy-UssInstallerFromServer keeps its limits, to two destinations' {
        $setup = Join-Path $to 'Setup.exe'
        [System.IO.File]::WriteAllText($setup, 'an installer')
        Invoke-UssServerProgram installer add $setup --name 'Setup' --data $a.Data | Out-Null
        Connect-UssServer $b.Url $b.Credential | Out-Null
        Connect-UssServer $c.Url $c.Credential | Out-Null
        $rows = Copy-UssInstallerFromServer -Name 'Setup' -SourceServer $a.Url -SourceCredential $a.Credential -Server $b.Url, $c.Url -ThrottleLimit 1 -MaxBytesPerSecond 1000000
        $rows.Status | Should -Be 'Copied', 'Copied'
        @($rows.Destination | Sort-Object) | Should -Be @($b.Url, $c.Url | Sort-Object)
        @(Get-AllFailure { Copy-UssInstallerFromServer -Name 'Setup' -SourceServer $a.Url -SourceCredential $a.Credential -Server $b.Url -ThrottleLimit 0 })[0].FullyQualifiedErrorId | Should -Be 'InvalidArgument,Copy-UssInstallerFromServer'
        Get-UssConnection | ForEach-Object { Disconnect-UssServer $_ }
    }
}

Describe 'Completion of Save-UssPackage and Import-UssPackage' {
    It 'completes packages and servers of the right side' {
        Connect-UssServer $a.Url $a.Credential | Out-Null
        $complete = { param($line) @((TabExpansion2 $line $line.Length).CompletionMatches | ForEach-Object CompletionText) }
        & $complete 'Save-UssPackage bund' | Should -Be 'bundle-app', 'bundle/app'
        & $complete 'Save-UssPackage runtime -VersionQuery 1' | Should -Be '1.0.0'
        & $complete 'Import-UssPackage x.zip -Server http' | Should -Be $a.Url
        Disconnect-UssServer
    }
}
