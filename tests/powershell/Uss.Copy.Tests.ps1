# Copying between two servers with different users: plan, -WhatIf, rows, failures, progress, verbose lines, stopping.

. $PSScriptRoot/Platform.ps1

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    Import-Module $env:USS_TEST_MODULE -Force
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-copy-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $a = Start-UssTestServer $folder 'anna'
    $b = Start-UssTestServer $folder 'bert'
    Add-UssTestPackage $a 'runtime' '1.0.0' | Out-Null
    Add-UssTestPackage $a 'extra' '1.0.0' | Out-Null
    Add-UssTestPackage $a 'app' '1.0.0' 'runtime=>=1.0' | Out-Null
    Add-UssTestPackage $a 'app' '2.0.0' 'runtime=>=1.0' | Out-Null
    $from = @{ SourceServer = $a.Url; SourceCredential = $a.Credential }
    $to = @{ Server = $b.Url; Credential = $b.Credential }
    $atB = $to

    function Get-AllFailure {
        # The codes of all errors of a script: those that are written, and the one that ends it last.
        param([scriptblock] $Script)
        # Pester's own is Stop, and would end a cmdlet at the first.
        $ErrorActionPreference = 'Continue'
        $found = @()
        try { & $Script 2>&1 | ForEach-Object { if ($_ -is [System.Management.Automation.ErrorRecord]) { $found += $_ } } } catch { $found += $_ }
        $found.FullyQualifiedErrorId
    }
    function Clear-Destination {
        Get-UssPackage @atB | Remove-UssPackage -All @atB -Force
    }
}

AfterEach {
    Clear-UssTestFault $a
    Clear-UssTestFault $b
    Clear-Destination
}

AfterAll {
    $a, $b | Stop-UssTestServer
    Remove-Item $folder -Recurse -Force
}

Describe 'Progress' {
    It 'is shown, too, where a package is done every moment' {
        foreach ($number in 1..30) { Add-UssTestPackage $a "many-$number" '1.0.0' -Size 100000 | Out-Null }
        $shell = (New-UssTestRunner).AddScript({
                param($Module, $From, $To)
                Import-Module $Module
                Copy-UssPackageFromServer (1..30 | ForEach-Object { "many-$_" }) @From @To -MaxBytesPerSecond 1000000 -ErrorAction Stop
            })
        foreach ($argument in $env:USS_TEST_MODULE, $from, $to) { [void] $shell.AddArgument($argument) }
        try {
            $shell.Invoke().Count | Should -Be 30
            $whole = @($shell.Streams.Progress | Where-Object ActivityId -EQ 80600 | Where-Object StatusDescription -Match '^\d+ of 30, \d.* of \d')
            $whole.Count | Should -BeGreaterThan 1
        }
        finally { $shell.Dispose(); Clear-Destination }
    }
}

Describe 'Copy-UssPackageFromServer' {
    It '-WhatIf returns the plan and copies nothing' {
        $rows = Copy-UssPackageFromServer 'app' @from @to -WhatIf
        "$($rows[0].Id) $($rows[1].Id) $($rows[1].Version)" | Should -Be 'runtime app 2.0.0'
        $rows.Status | Should -Be 'WouldCopy', 'WouldCopy'
        $rows[0].PSTypeNames[0] | Should -Be 'Uss.CopyResult'
        Get-UssPackage @atB | Should -BeNullOrEmpty
    }

    It 'asks once for a destination, with what the plan says' {
        $script = @"
Import-Module '$env:USS_TEST_MODULE'
`$c = New-Object PSCredential 'anna', (ConvertTo-SecureString '$($a.Token)' -AsPlainText -Force)
`$d = New-Object PSCredential 'bert', (ConvertTo-SecureString '$($b.Token)' -AsPlainText -Force)
`$null = Copy-UssPackageFromServer app -SourceServer $($a.Url) -SourceCredential `$c -Server $($b.Url) -Credential `$d -WhatIf
"@
        $shell = Invoke-UssTestShell $script
        $shell.Output | Should -MatchExactly "What if: Performing the operation .Copy from $($a.Url). on target .app 2\.0\.0 and 1 dependency \([\d.]+ kB\) to $($b.Url).\."
        @($shell.Output -split '\n').Count | Should -Be 1
    }

    It 'copies what is needed first, then skips it, and replaces with -Force' {
        $rows = Copy-UssPackageFromServer 'app' @from @to
        "$($rows.Id)" | Should -Be 'runtime app'
        $rows.Status | Should -Be 'Copied', 'Copied'
        $rows[0].Duration | Should -BeOfType ([timespan])
        $rows[0].BytesSent | Should -Be $rows[0].Size
        $rows[0].Sha256 | Should -MatchExactly '^[0-9a-f]{64}$'
        $rows[0].Source | Should -Be $a.Url
        $rows[0].Destination | Should -Be $b.Url
        (Copy-UssPackageFromServer 'app' @from @to).Status | Should -Be 'Skipped', 'Skipped'
        (Copy-UssPackageFromServer 'app' @from @to -WhatIf).Status | Should -Be 'WouldSkip', 'WouldSkip'
        ($rows | ConvertTo-Json -Depth 5 | ConvertFrom-Json)[0].PSObject.Properties.Name |
            Should -Be 'Id', 'Version', 'Source', 'Destination', 'Status', 'Size', 'BytesSent', 'Duration', 'Sha256'
    }

    It 'runs one operation for hashtables and objects of the pipeline' {
        $rows = 'extra', @{ Id = 'app'; Version = '1.0.0' }, (Get-UssPackage 'runtime' -Server $a.Url -Credential $a.Credential) | Copy-UssPackageFromServer @from @to
        @($rows | ForEach-Object { "$($_.Id) $($_.Version)" } | Sort-Object) | Should -Be 'app 1.0.0', 'extra 1.0.0', 'runtime 1.0.0'
    }

    It 'copies only what is named with -SkipDependencyCheck' {
        (Copy-UssPackageFromServer 'app' @from @to -SkipDependencyCheck).Id | Should -Be 'app'
    }

    It 'connection objects name both sides' {
        $source = Connect-UssServer $a.Url $a.Credential
        $destination = Connect-UssServer $b.Url $b.Credential
        (Copy-UssPackageFromServer 'extra' -SourceServer $source -Server $destination).Status | Should -Be 'Copied'
        (Copy-UssPackageFromServer 'extra' -SourceServer $source).Status | Should -Be 'Skipped'
        $source, $destination | ForEach-Object { Disconnect-UssServer $_ }
    }

    It 'other bytes at the destination are an error, and replaced with -Force' {
        Add-UssTestPackage $b 'extra' '1.0.0' @() 2000 | Out-Null
        $before = (Get-UssPackageVersion 'extra' @atB).Sha256
        Get-AllFailure { Copy-UssPackageFromServer 'extra' @from @to } | Should -Be 'PackageAlreadyExists,Copy-UssPackageFromServer', 'PackageAlreadyExists,Copy-UssPackageFromServer'
        (Get-UssPackageVersion 'extra' @atB).Sha256 | Should -Be $before
        (Copy-UssPackageFromServer 'extra' @from @to -Force -WhatIf).Status | Should -Be 'WouldReplace'
        (Copy-UssPackageFromServer 'extra' @from @to -Force).Status | Should -Be 'Replaced'
        (Get-UssPackageVersion 'extra' @atB).Sha256 | Should -Be (Get-UssPackageVersion 'extra' -Server $a.Url -Credential $a.Credential).Sha256
    }

    It 'reports all problems of a plan, then ends, and copies nothing' {
        Add-UssTestPackage $a 'broken' '1.0.0' 'not-there=>=1.0' | Out-Null
        Add-UssTestPackage $a 'circle' '1.0.0' 'circle-back=^' | Out-Null
        Add-UssTestPackage $a 'circle-back' '1.0.0' 'circle=^' | Out-Null
        $ids = @(Get-AllFailure { 'extra', 'broken', 'circle', 'missing' | Copy-UssPackageFromServer @from @to })
        $ids | Should -Contain 'DependencyUnresolved,Copy-UssPackageFromServer'
        $ids | Should -Contain 'DependencyCycle,Copy-UssPackageFromServer'
        $ids | Should -Contain 'PackageNotFound,Copy-UssPackageFromServer'
        $ids.Count | Should -Be 4
        Get-UssPackage @atB | Should -BeNullOrEmpty
    }

    It 'a failed package is an error about it, its dependents fail with it, the others go on' {
        Add-UssTestFault $b @{ method = 'POST'; path = '/api/v1/Packages'; query = 'packageId=runtime'; count = 100; action = @{ status = @{ code = 507 } } }
        $rows = 'app', 'extra' | Copy-UssPackageFromServer @from @to -ErrorAction SilentlyContinue -ErrorVariable failures
        $rows.Id | Should -Be 'extra'
        $codes = @($failures | ForEach-Object { ($_.FullyQualifiedErrorId -split ',')[0] } | Sort-Object)
        $codes | Should -Be 'DependencyFailed', 'InsufficientStorage'
        $first = $failures | Where-Object FullyQualifiedErrorId -Like 'InsufficientStorage*'
        $first.TargetObject.Id | Should -Be 'runtime'
        $first.TargetObject.Version | Should -Be '1.0.0'
        $first.TargetObject.Destination | Should -Be $b.Url
        $first.Exception.Data['HttpStatus'] | Should -Be 507
        (Get-UssPackage @atB).Id | Should -Be 'extra'
    }

    It 'refuses a credential that is none, a connection of elsewhere, and plain http to another machine' {
        (Get-Failure { Copy-UssPackageFromServer 'app' -SourceServer $a.Url -SourceCredential 'secret' @to }).FullyQualifiedErrorId | Should -Be 'InvalidArgument,Copy-UssPackageFromServer'
        $failure = Get-Failure { Copy-UssPackageFromServer 'app' -SourceServer 'http://updates.example.com' -SourceCredential $a.Credential @to }
        $failure.FullyQualifiedErrorId | Should -Be 'InsecureTransport,Copy-UssPackageFromServer'
        $failure.CategoryInfo.Category | Should -Be 'SecurityError'
    }
}

Describe 'Streams' {
    It 'shows the whole and each transfer, and takes them off the display again' {
        Add-UssTestPackage $a 'large' '1.0.0' @() 6000000 | Out-Null
        $script = @"
Import-Module '$env:USS_TEST_MODULE'
`$c = New-Object PSCredential 'anna', (ConvertTo-SecureString '$($a.Token)' -AsPlainText -Force)
`$d = New-Object PSCredential 'bert', (ConvertTo-SecureString '$($b.Token)' -AsPlainText -Force)
(Copy-UssPackageFromServer large -SourceServer $($a.Url) -SourceCredential `$c -Server $($b.Url) -Credential `$d -MaxBytesPerSecond 2000000).Status
"@
        $shell = Invoke-UssTestShell $script @{ PWSH_KIT_PROGRESS = '1' }
        $shell.Output | Should -Be 'Copied'
        $records = @($shell.Errors -split '\r?\n' | Where-Object { $_ -like 'PROGRESS: *' })
        $whole = @($records | Where-Object { $_ -like 'PROGRESS: 80600|Copying packages|*' })
        $transfer = @($records | Where-Object { $_ -like 'PROGRESS: 80601|large 1.0.0|*' })
        $whole.Count | Should -BeGreaterThan 1
        $transfer.Count | Should -BeGreaterThan 1
        $whole[-1] | Should -Match '\|Completed$'
        $transfer[-1] | Should -Match '\|Completed$'
        # On a busy machine the plan may take long enough to be shown first.
        @($whole -match ' of 6\.0 MB').Count | Should -BeGreaterThan 0
    }

    It 'short operations show no progress' {
        $script = @"
Import-Module '$env:USS_TEST_MODULE'
`$c = New-Object PSCredential 'anna', (ConvertTo-SecureString '$($a.Token)' -AsPlainText -Force)
(Get-UssPackageVersion app -Server $($a.Url) -Credential `$c).Version
"@
        $shell = Invoke-UssTestShell $script @{ PWSH_KIT_PROGRESS = '1' }
        $shell.Output | Should -Be '2.0.0'
        $shell.Errors | Should -Not -Match '80600'
    }

    It 'writes a verbose line for each request, without its query' {
        $lines = @(Copy-UssPackageFromServer 'extra' @from @to -Verbose 4>&1 | Where-Object { $_ -is [System.Management.Automation.VerboseRecord] })
        "$lines" | Should -Match "GET $($a.Url)/api/v1/Packages/content 200 \d+ ms \d+ B 0 retries"
        "$lines" | Should -Not -Match '\?'
        "$lines" | Should -Not -Match ([regex]::Escape($a.Token))
    }

    It 'debug lines show headers without secrets' {
        # Not -Debug: with it PowerShell asks about each verbose line.
        $global:DebugPreference = 'Continue'
        try { $lines = "$(Get-UssPackage -Server $a.Url -Credential $a.Credential 5>&1)" }
        finally { $global:DebugPreference = 'SilentlyContinue' }
        $lines | Should -Match '(?i)authorization'
        $lines | Should -Not -Match 'eyJ'
        $lines | Should -Not -Match ([regex]::Escape($a.Token))
    }
}

Describe 'Stopping' {
    BeforeAll {
        foreach ($n in 1..4) { Add-UssTestPackage $a "slow-$n" '1.0.0' @() 3000000 | Out-Null }
        $slow = 1..4 | ForEach-Object { "slow-$_" }
    }

    It 'Select-Object -First 1 leaves nothing behind' {
        $row = $slow | Copy-UssPackageFromServer @from @to -ThrottleLimit 1 -MaxBytesPerSecond 6000000 | Select-Object -First 1
        $row.Status | Should -Be 'Copied'
        $left = Wait-UssNativeIdle
        "$($left.Connections) $($left.Operations) $($left.Buffers) $($left.Tasks)" | Should -Be '0 0 0 0'
        @(Get-UssPackage @atB).Count | Should -BeLessThan 4
    }

    It 'a break downstream leaves nothing behind, and ends the loop that it was meant for' {
        $rounds = 0
        foreach ($round in 1..3) {
            $rounds++
            $slow | Copy-UssPackageFromServer @from @to -ThrottleLimit 1 -MaxBytesPerSecond 6000000 | ForEach-Object { break }
            $rounds = 100
        }
        $rounds | Should -Be 1
        $left = Wait-UssNativeIdle
        "$($left.Connections) $($left.Operations) $($left.Buffers) $($left.Tasks)" | Should -Be '0 0 0 0'
    }

    It 'a continue downstream goes on with the loop that it was meant for' {
        $rounds = $ends = 0
        foreach ($round in 1..2) {
            $rounds++
            $slow | Copy-UssPackageFromServer @from @to -ThrottleLimit 1 -MaxBytesPerSecond 9000000 | ForEach-Object { continue }
            $ends++
        }
        "$rounds $ends" | Should -Be '2 0'
        (Wait-UssNativeIdle).Operations | Should -Be 0
    }

    It 'an exception downstream leaves nothing behind' {
        (Get-Failure { $slow | Copy-UssPackageFromServer @from @to -ThrottleLimit 1 -MaxBytesPerSecond 6000000 | ForEach-Object { throw 'enough' } }).FullyQualifiedErrorId | Should -Be 'enough'
        $left = Wait-UssNativeIdle
        "$($left.Connections) $($left.Operations) $($left.Buffers) $($left.Tasks)" | Should -Be '0 0 0 0'
    }

    It 'stopping the pipeline ends it at once and leaves nothing behind' {
        Add-UssTestFault $a @{ path = '/content'; count = 100; action = @{ stall = 1000 } }
        $shell = New-UssTestRunner
        [void] $shell.AddScript({
                param($module, $from, $to)
                Import-Module $module
                Copy-UssPackageFromServer 'slow-1' @from @to
            }).AddArgument($env:USS_TEST_MODULE).AddArgument($from).AddArgument($to)
        $running = $shell.BeginInvoke()
        foreach ($try in 1..400) {
            if ((Get-UssTestCount $a 'GET /api/v1/Packages/content') -gt 0) { break }
            [System.Threading.Thread]::Sleep(25)
        }
        (Get-UssTestCount $a 'GET /api/v1/Packages/content') | Should -BeGreaterThan 0
        $shell.Stop()
        $shell.InvocationStateInfo.State | Should -Be 'Stopped'
        $shell.Dispose()
        $left = Wait-UssNativeIdle
        "$($left.Connections) $($left.Operations) $($left.Buffers) $($left.Tasks)" | Should -Be '0 0 0 0'
        Get-UssPackage @atB | Should -BeNullOrEmpty
    }

    # Only here can another process be sent a Ctrl-C.
    if ($onUnix) {
        It 'Ctrl-C ends a copy, and the destination shows nothing of it' {
            Add-UssTestFault $a @{ path = '/content'; count = 100; action = @{ stall = 1000 } }
            $script = @"
Import-Module '$env:USS_TEST_MODULE'
`$c = New-Object PSCredential 'anna', (ConvertTo-SecureString '$($a.Token)' -AsPlainText -Force)
`$d = New-Object PSCredential 'bert', (ConvertTo-SecureString '$($b.Token)' -AsPlainText -Force)
Copy-UssPackageFromServer slow-1 -SourceServer $($a.Url) -SourceCredential `$c -Server $($b.Url) -Credential `$d
'not reached'
"@
            $start = [System.Diagnostics.ProcessStartInfo]::new([System.Environment]::ProcessPath)
            foreach ($argument in '-NoLogo', '-NoProfile', '-Command', $script) { $start.ArgumentList.Add($argument) }
            $start.RedirectStandardOutput = $start.RedirectStandardError = $start.RedirectStandardInput = $true
            $process = [System.Diagnostics.Process]::Start($start)
            foreach ($try in 1..2400) {
                if ((Get-UssTestCount $a 'GET /api/v1/Packages/content') -gt 0) { break }
                [System.Threading.Thread]::Sleep(25)
            }
            & /bin/kill -INT $process.Id
            $process.WaitForExit(20000) | Should -BeTrue
            $process.StandardOutput.ReadToEnd() | Should -Not -Match 'not reached'
            Get-UssPackage @atB | Should -BeNullOrEmpty
        }
    }
}

Describe 'Many runspaces' {
    It '100 parallel runspaces with one credential exchange once' {
        Clear-UssTestFault $a
        $fresh = New-UssTestCredential 'anna@example.com' $a.Token
        $module, $url = $env:USS_TEST_MODULE, $a.Url
        $versions = 1..100 | ForEach-Object -ThrottleLimit 100 -Parallel {
            Import-Module $using:module
            (Get-UssPackageVersion 'app' -Server $using:url -Credential $using:fresh).Version
        }
        @($versions).Count | Should -Be 100
        @($versions | Sort-Object -Unique) | Should -Be '2.0.0'
        Get-UssTestCount $a 'POST /api/v1/PersonalTokens/authenticate' | Should -Be 1
        Get-UssTestCount $a 'GET /api/v1/Packages/versions' | Should -Be 100
        $left = Wait-UssNativeIdle
        "$($left.Connections) $($left.Operations) $($left.Buffers) $($left.Tasks)" | Should -Be '0 0 0 0'
    }
}
