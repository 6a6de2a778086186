# The demo's own script, word for word, in PowerShell for Windows; on other systems `cargo xtask demo` runs it.

. $PSScriptRoot/Platform.ps1

if (-not $onUnix) {
    BeforeAll {
        . $PSScriptRoot/TestServer.ps1
        $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-demo-$([guid]::NewGuid())"
        New-Item -ItemType Directory -Path $folder | Out-Null
        $a = Start-UssTestServer $folder 'ada'
        $b = Start-UssTestServer $folder 'grace'
        # Large enough for the copy, which is held to 80 MB/s, to show more than one second of progress.
        Add-UssTestPackage $a 'payment-service' '2.2' -Size 5000000 | Out-Null
        Add-UssTestPackage $a 'pos-database' '3.1.0' -Size 30000000 | Out-Null
        Add-UssTestPackage $a 'pos-hardware-station' '1.0.4' -Size 12000000 | Out-Null
        Add-UssTestPackage $a 'pos-app' '14.0.35916.0' 'pos-database=' -Size 200000000 | Out-Null
        Add-UssTestPackage $a 'bundle/my-pos' '1.0.0' 'pos-app=>=14.0 <15.0', 'pos-hardware-station=', 'pos-database=^', 'payment-service=2.2' | Out-Null
    }

    AfterAll {
        $a, $b | Stop-UssTestServer
        Remove-UssTestFolder $folder
    }

    Describe 'The demo' {
        It 'plans, copies with progress, proves the digests, and shows a revoked token refused' {
            # The server's program, which need not be one of this system.
            $program = Join-Path $folder 'uss-server.ps1'
            Set-Content $program ". '$PSScriptRoot/TestServer.ps1'", 'Invoke-UssServerProgram @args', 'exit 0'
            $tokens = @(Invoke-UssServerProgram token list --user ada --data $a.Data)
            $id = -split $tokens[-1]
            $script = Join-Path (Split-Path (Split-Path $PSScriptRoot)) 'xtask/src/demo/packages.ps1'
            # Dot-sourced, it sets the preferences of the session, as with -File.
            $told = Invoke-UssTestShell ". '$script' -Module '$env:USS_TEST_MODULE' -Headquarters '$($a.Url)' -Store '$($b.Url)' -ServerProgram '$program' -TokenId '$($id[0])' -HeadquartersData '$($a.Data)' -StoreData '$($b.Data)' -Plain" @{
                DEMO_HEADQUARTERS_TOKEN = $a.Token; DEMO_STORE_TOKEN = $b.Token; NO_COLOR = '1'
            }
            $told.Errors | Should -BeNullOrEmpty
            $told.ExitCode | Should -Be 0
            @([regex]::Matches($told.Output, 'WouldCopy')).Count | Should -Be 5
            @([regex]::Matches($told.Output, '(?m)^    Copying packages +\d+ %  \d of 5, [\d.]+ [kM]?B of 247 MB')).Count | Should -BeGreaterThan 1
            @([regex]::Matches($told.Output, '[0-9a-f]{24} [0-9a-f]{24} +True\b')).Count | Should -Be 5
            @([regex]::Matches($told.Output, ' Skipped ')).Count | Should -Be 5
            $told.Output | Should -Match 'refused: AuthenticationFailed,Get-UssPackageVersion'
        }
    }
}
