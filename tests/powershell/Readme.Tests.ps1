# What README.md shows runs as it stands: its PowerShell in order, in one session, with real servers in place of the
# addresses; its uss-server commands in a shell.

. $PSScriptRoot/Platform.ps1

BeforeDiscovery {
    $text = [System.IO.File]::ReadAllText((Join-Path $PSScriptRoot '../../README.md'))
    $blocks = @([regex]::Matches($text, '(?ms)^```(?<language>powershell|sh)\r?\n(?<code>.*?)^```') | ForEach-Object {
            $code = $_.Groups['code'].Value
            $what = @($code -split '\r?\n' | Where-Object { $_ -and -not $_.StartsWith('#') })[0]
            @{ Language = $_.Groups['language'].Value; Code = $code; What = $what }
        })
    . $PSScriptRoot/Keyring.ps1
    $absent = -not (Test-UssTestKeyring)
    $powershell = @($blocks | Where-Object { $_.Language -eq 'powershell' -and $_.Code -notmatch '\$env:|-Remember' })
    $keyring = @($blocks | Where-Object { $_.Language -eq 'powershell' -and $_.Code -match '-Remember' })
    $environment = @($blocks | Where-Object { $_.Language -eq 'powershell' -and $_.Code -match '\$env:' })
    $server = @($blocks | Where-Object { $_.Language -eq 'sh' -and $_.Code -match '(?m)^uss-server ' })
}


BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    . $PSScriptRoot/Keyring.ps1
    Import-Module $env:USS_TEST_MODULE -Force
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-readme-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $source = Start-UssTestServer $folder 'anna'
    $destination = Start-UssTestServer $folder 'bert'
    Add-UssTestPackage $source 'ls-central-app' '1.2.0' | Out-Null
    Add-UssTestPackage $source 'ls-central-app' '1.3.0-rc.1' | Out-Null
    Add-UssTestPackage $source 'bundle/my-pos' '1.0.0' 'ls-central-app=>=1.0 <2.0' | Out-Null
    $setup = Join-Path $folder 'Setup.exe'
    [System.IO.File]::WriteAllText($setup, 'an installer')
    Invoke-UssServerProgram installer add $setup --name 'Client Setup' --data $source.Data | Out-Null

    $Credential = $source.Credential
    $Local = $destination.Credential
    $Me = $source.Person
    $script:Places = @{
        'https://updates.example.com' = $source.Url; 'http://localhost:8060' = $destination.Url
        'your-user-name@here.com' = 'anna@example.com'; 'Generated PAT' = $source.Token
        './modules/Uss/Uss.psd1' = Join-Path $env:USS_TEST_MODULE 'Uss.psd1'
    }
    function Complete-Readme([string] $Code) {
        foreach ($place in $script:Places.Keys) { $Code = $Code.Replace($place, $script:Places[$place]) }
        $Code
    }
}

AfterAll {
    Get-UssConnection | ForEach-Object { Disconnect-UssServer $_ }
    $source, $destination | Stop-UssTestServer
    Remove-Item $folder -Recurse -Force
}

Describe 'README.md' {
    It 'runs: <What>' -ForEach $powershell {
        $ErrorActionPreference = 'Stop'
        Push-Location $folder
        try { $output = @(. ([scriptblock]::Create((Complete-Readme $Code)))) }
        finally { Pop-Location }
        $output.Count | Should -BeGreaterThan 0
    }

    # Elsewhere the keyring is the person's own.
    if ($onUnix) {
        It 'runs with a keyring: <What>' -Skip:$absent -ForEach $keyring {
            $kept = Start-UssTestKeyring
            try {
                $setup = "`$ErrorActionPreference = 'Stop'; Import-Module '$env:USS_TEST_MODULE'; `$s = [securestring]::new(); foreach (`$c in `$env:README_TOKEN.ToCharArray()) { `$s.AppendChar(`$c) }; `$Credential = [pscredential]::new('anna', `$s)"
                $run = Invoke-UssTestShell "$setup; $(Complete-Readme $Code)" ($kept.Environment + @{ README_TOKEN = $source.Token })
            }
            finally { $kept | Stop-UssTestKeyring }
            $run.Errors | Should -BeNullOrEmpty
            $run.Output | Should -Match 'my-pos'
        }
    }

    It 'runs with its environment: <What>' -ForEach $environment {
        $secrets = @{
            USS_SERVER = $destination.Url; USS_USERNAME = 'bert'; USS_PERSONAL_TOKEN = $destination.Token
            USS_SOURCE_SERVER = $source.Url; USS_SOURCE_USERNAME = 'anna'; USS_SOURCE_PERSONAL_TOKEN = $source.Token
        }
        $run = Invoke-UssTestShell "Import-Module '$env:USS_TEST_MODULE'; $(Complete-Readme $Code)" $secrets
        $run.Errors | Should -BeNullOrEmpty
        $run.ExitCode | Should -Be 0
        $run.Output | Should -Match 'my-pos'
    }

    if ($onUnix) {
        It 'runs in a shell: <What>' -ForEach $server {
            # The program is built already.
            $commands = @($Code -split '\r?\n' | Where-Object { $_ -and -not $_.StartsWith('cargo ') }) -join "`n"
            $start = [System.Diagnostics.ProcessStartInfo]::new('bash')
            foreach ($argument in '-euc', $commands) { $start.ArgumentList.Add($argument) }
            $start.WorkingDirectory = $folder
            $start.Environment['PATH'] = "$(Split-Path $env:USS_TEST_SERVER):$env:PATH"
            $start.RedirectStandardOutput = $start.RedirectStandardError = $true
            $process = [System.Diagnostics.Process]::Start($start)
            $errors = $process.StandardError.ReadToEndAsync()
            [void] $process.StandardOutput.ReadToEnd()
            $process.WaitForExit()
            "$($process.ExitCode) $($errors.Result)".Trim() | Should -Be '0'
        }
    }
}
