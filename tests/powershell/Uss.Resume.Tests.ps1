# What is left of a copy that was stopped, and two processes that copy the same at once.

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    Import-Module $env:USS_TEST_MODULE -Force
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-resume-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $a = Start-UssTestServer $folder 'anna'
    $b = Start-UssTestServer $folder 'bert'
    $size = 40000000
    Add-UssTestPackage $a 'large' '1.0.0' -Size $size | Out-Null
    $from = @{ SourceServer = $a.Url; SourceCredential = $a.Credential }
    $to = @{ Server = $b.Url; Credential = $b.Credential }

    function New-CopyStart {
        # A process of its own that copies, so many bytes a second, and says how it ended and what it sent.
        param([long] $Rate)
        $script = @"
Import-Module '$env:USS_TEST_MODULE'
`$c = New-Object PSCredential 'anna', (ConvertTo-SecureString '$($a.Token)' -AsPlainText -Force)
`$d = New-Object PSCredential 'bert', (ConvertTo-SecureString '$($b.Token)' -AsPlainText -Force)
`$row = Copy-UssPackageFromServer large -SourceServer $($a.Url) -SourceCredential `$c -Server $($b.Url) -Credential `$d -MaxBytesPerSecond $Rate
"`$(`$row.Status) `$(`$row.BytesSent)"
"@
        $start = [System.Diagnostics.ProcessStartInfo]::new([System.Environment]::ProcessPath)
        foreach ($argument in '-NoLogo', '-NoProfile', '-NonInteractive', '-Command', $script) { $start.ArgumentList.Add($argument) }
        $start.RedirectStandardOutput = $start.RedirectStandardError = $start.RedirectStandardInput = $true
        $start
    }

    function Stop-InTheMiddle {
        # Copies in a runspace of its own and stops it when the source has gone silent after 30 MB.
        param([hashtable] $More = @{})
        $measure = { (Get-ChildItem -Path $b.Data -Recurse -File | Measure-Object -Property Length -Sum).Sum }
        # The server keeps what was removed for a while.
        $before = & $measure
        Add-UssTestFault $a @{ path = '/content'; action = @{ stall = 30000000 } }
        $shell = New-UssTestRunner
        [void] $shell.AddScript({
                param($module, $from, $to, $more)
                Import-Module $module
                Copy-UssPackageFromServer 'large' @from @to @more -Verbose
            }).AddArgument($env:USS_TEST_MODULE).AddArgument($from).AddArgument($to).AddArgument($More)
        $null = $shell.BeginInvoke()
        # The destination's folder tells how much has come.
        foreach ($try in 1..800) {
            $stored = (& $measure) - $before
            if ($stored -gt 24000000) { break }
            [System.Threading.Thread]::Sleep(25)
        }
        $stored | Should -BeGreaterThan 24000000
        $shell.Stop()
        $shell.Dispose()
        (Wait-UssNativeIdle).Tasks | Should -Be 0
        Get-UssPackage @to | Should -BeNullOrEmpty
    }
}

AfterEach {
    Clear-UssTestFault $a
    Clear-UssTestFault $b
    Get-UssPackage @to | Remove-UssPackage -All @to -Force
}

AfterAll {
    $a, $b | Stop-UssTestServer
    Remove-Item $folder -Recurse -Force
}

Describe 'A copy that was stopped' {
    It 'goes on where it was when the same command is given again, and says so' {
        Stop-InTheMiddle
        $said = [System.Collections.ArrayList] @()
        $row = Copy-UssPackageFromServer 'large' @from @to -Verbose 4>&1 |
            ForEach-Object { if ($_ -is [System.Management.Automation.VerboseRecord]) { [void] $said.Add("$_") } else { $_ } }
        $row.Status | Should -Be 'Copied'
        $row.BytesSent | Should -BeLessThan 17000000
        # More than once where the destination is slow to let go of the first copy's connection.
        @($said -like '*goes on at byte*').Count | Should -BeGreaterThan 0
        (Get-UssPackageVersion 'large' @to).Sha256 | Should -Be $row.Sha256
    }

    It 'starts anew after -CleanUp' {
        Stop-InTheMiddle @{ CleanUp = $true }
        $row = Copy-UssPackageFromServer 'large' @from @to
        $row.Status | Should -Be 'Copied'
        $row.BytesSent | Should -Be $row.Size
    }
}

Describe 'The notes of a copy' {
    It 'that another program holds open stop no copy, and are written again when it lets go' {
        # As an antivirus does on Windows, where what is held so can be neither written, replaced nor removed.
        $state = Join-Path $folder 'held'
        New-Item -ItemType Directory -Path $state | Out-Null
        $start = New-CopyStart 10000000
        foreach ($name in 'XDG_STATE_HOME', 'LOCALAPPDATA') { $start.Environment[$name] = $state }
        $process = [System.Diagnostics.Process]::Start($start)
        $errors = $process.StandardError.ReadToEndAsync()
        $held = $null
        foreach ($try in 1..800) {
            $note = [System.IO.Directory]::GetFiles($state, '*.json', 'AllDirectories') | Select-Object -First 1
            if ($note) {
                # Being replaced at this moment, it can be opened at the next.
                try { $held = [System.IO.File]::Open($note, 'Open', 'Read', 'Read'); break } catch [System.Management.Automation.MethodInvocationException] { $null = $_ }
            }
            [System.Threading.Thread]::Sleep(10)
        }
        try {
            $held | Should -Not -BeNullOrEmpty
            $output = $process.StandardOutput.ReadToEnd()
            $process.WaitForExit()
        }
        finally { if ($held) { $held.Dispose() } }
        $errors.Result.Trim() | Should -BeNullOrEmpty
        $size = (Get-UssPackageVersion 'large' @to).Size
        # On the screen there may be a warning as well.
        ($output -split '\r?\n') -match '^\w+ \d+$' | Should -Be "Copied $size"
        Get-UssPackage @to | Remove-UssPackage -All @to -Force
        $process = [System.Diagnostics.Process]::Start($start)
        $errors = $process.StandardError.ReadToEndAsync()
        ($process.StandardOutput.ReadToEnd() -split '\r?\n') -match '^\w+ \d+$' | Should -Be "Copied $size"
        $process.WaitForExit()
        $errors.Result.Trim() | Should -BeNullOrEmpty
        [System.IO.Directory]::GetFiles($state, '*', 'AllDirectories') | Should -BeNullOrEmpty
    }
}

Describe 'Two processes' {
    It 'that copy the same at once send it once' {
        $running = foreach ($number in 1, 2) { [System.Diagnostics.Process]::Start((New-CopyStart 15000000)) }
        $told = foreach ($process in $running) {
            $text = $process.StandardOutput.ReadToEnd()
            $process.WaitForExit(60000) | Should -BeTrue
            ($text -split "`r?`n" | Where-Object { $_ -match '^(Copied|Skipped) \d+$' })
        }
        $size = (Get-UssPackageVersion 'large' @to).Size
        ($told | Sort-Object) -join ', ' | Should -Be "Copied $size, Skipped 0"
    }
}
