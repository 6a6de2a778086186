# Names, paths and secrets in any writing, with brackets, and longer than Windows once allowed.

. $PSScriptRoot/Platform.ps1

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    . $PSScriptRoot/Canary.ps1
    Import-Module $env:USS_TEST_MODULE -Force
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-names-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $a = Start-UssTestServer $folder 'anna'
    $b = Start-UssTestServer $folder 'bert'
    Add-UssTestPackage $a 'runtime' '1.0.0' | Out-Null
    Add-UssTestPackage $a 'app' '1.0.0' 'runtime=^' | Out-Null
    $atA = @{ Server = $a.Url; Credential = $a.Credential }
    $atB = @{ Server = $b.Url; Credential = $b.Credential }
    $echo = Start-CanaryTap
    $echo.Answers.Text = "HTTP/1.1 200 OK`r`nContent-Type: application/json`r`nConnection: close`r`n`r`n[]"
    $echo.Answers.Bearer = 'a.b.c'
    # From code points: this file is read alike whatever a PowerShell takes for its encoding.
    $any = "gr$([char] 0xFC)n $([char] 0x6F22)$([char] 0x5B57) $([char]::ConvertFromUtf32(0x1F600))"

    function Get-SignIn {
        # The user name and the secret that the echoing server was last sent.
        # A token goes in the query, a password in JSON.
        $last = [regex]::Matches((Get-CanaryTraffic $echo), 'POST (\S*(?:authenticate|signin)\S*) HTTP')[-1].Groups[1]
        if ($last.Value.Contains('?')) { return @(foreach ($pair in $last.Value.Split('?')[1].Split('&')) { [uri]::UnescapeDataString($pair.Split('=')[1]) }) }
        $json = [regex]::Match((Get-CanaryTraffic $echo).Substring($last.Index), '(?s)\r\n\r\n(\{.*?\})(?=[A-Z]|$)').Groups[1].Value
        @((ConvertFrom-Json ([System.Text.Encoding]::UTF8.GetString([System.Text.Encoding]::Latin1.GetBytes($json)))).PSObject.Properties.Value)
    }
}

AfterEach { Get-UssPackage @atB | Remove-UssPackage -All @atB -Force }

AfterAll {
    $echo | Stop-CanaryTap
    $a, $b | Stop-UssTestServer
    Remove-UssTestFolder $folder
}

Describe 'A folder' {
    It '<Name> takes packages and gives them back' -ForEach @(
        @{ Name = 'in any writing'; Parts = { , $any } }
        @{ Name = 'with brackets'; Parts = { 'a[1] b', '[x]' } }
        @{ Name = 'with a path of more than 260 characters'; Parts = { foreach ($number in 1..4) { "$number" * 90 } } }
    ) {
        $to = $folder
        foreach ($part in & $Parts) { $to = Join-Path $to $part }
        [System.IO.Directory]::CreateDirectory($to) | Out-Null
        $saved = @(Save-UssPackage 'app' -Path $to @atA)
        $saved.FullName | Should -Be (Join-Path $to 'runtime-1.0.0.zip'), (Join-Path $to 'app-1.0.0.zip')
        @(Save-UssPackage 'app' -Path $to @atA -WhatIf).Status | Should -Be 'WouldSkip', 'WouldSkip'
        ($saved | Import-UssPackage @atB).Status | Should -Be 'Copied', 'Copied'
        $rows = Import-UssPackage -LiteralPath $saved.FullName @atB
        $rows.Status | Should -Be 'Skipped', 'Skipped'
        $rows[0].Source | Should -Be $to
        Push-Location -LiteralPath $to
        try {
            (Import-UssPackage '*.zip' @atB).Status | Should -Be 'Skipped', 'Skipped'
            (Save-UssPackage 'runtime' @atA).FullName | Should -Be (Join-Path $to 'runtime-1.0.0.zip')
        }
        finally { Pop-Location }

        $content = Join-Path $to "file [1] $any.txt"
        [System.IO.File]::WriteAllText($content, $any)
        $made = New-UssPackage 'made' '1.0.0' -OutputDir $to -InputPath $content -DisplayName "[$any]" -Description "$any[1]"
        $made.Path | Should -Be (Join-Path $to 'made-1.0.0.zip')
        ($made | Import-UssPackage @atB).Status | Should -Be 'Copied'
        $package = Get-UssPackage 'made' @atB
        $package.DisplayName | Should -Be "[$any]"
        $package.Description | Should -Be "$any[1]"
        $zip = [System.IO.Compression.ZipFile]::OpenRead($made.Path)
        try { $zip.Entries.FullName | Should -Contain "file [1] $any.txt" } finally { $zip.Dispose() }
        Invoke-UssMethod '/api/v1/Packages' -OutFile (Join-Path $to 'out.json') @atB
        [System.IO.File]::ReadAllText((Join-Path $to 'out.json')) | Should -Match '"made"'
    }

    It 'with a long path and any writing keeps what a copy has begun' {
        $state = $folder
        foreach ($part in $any, ('s' * 90), ('t' * 90), ('u' * 90)) { $state = Join-Path $state $part }
        [System.IO.Directory]::CreateDirectory($state) | Out-Null
        Add-UssTestPackage $a 'large' '1.0.0' -Size 20000000 | Out-Null
        $script = "Import-Module '$env:USS_TEST_MODULE'
            `$c = New-Object PSCredential 'anna', (ConvertTo-SecureString '$($a.Token)' -AsPlainText -Force)
            `$d = New-Object PSCredential 'bert', (ConvertTo-SecureString '$($b.Token)' -AsPlainText -Force)
            (Copy-UssPackageFromServer large -SourceServer $($a.Url) -SourceCredential `$c -Server $($b.Url) -Credential `$d -Verbose 4>&1) | ForEach-Object { `"`$_`" }"
        $environment = @{ XDG_STATE_HOME = $state; LOCALAPPDATA = $state }
        Add-UssTestFault $a @{ path = '/content'; action = @{ stall = 15000000 } }
        $start = [System.Diagnostics.ProcessStartInfo]::new([System.Environment]::ProcessPath)
        foreach ($argument in '-NoLogo', '-NoProfile', '-NonInteractive', '-Command', $script) { $start.ArgumentList.Add($argument) }
        foreach ($name in $environment.Keys) { $start.Environment[$name] = $environment[$name] }
        $start.RedirectStandardOutput = $true
        $process = [System.Diagnostics.Process]::Start($start)
        foreach ($try in 1..800) {
            $stored = (Get-ChildItem -Path $b.Data -Recurse -File | Measure-Object -Property Length -Sum).Sum
            if ($stored -gt 9000000 -or $process.HasExited) { break }
            [System.Threading.Thread]::Sleep(25)
        }
        $process.Kill()
        $process.WaitForExit()
        $stored | Should -BeGreaterThan 9000000
        @([System.IO.Directory]::GetFiles($state, '*', 'AllDirectories')).Count | Should -BeGreaterThan 0
        Clear-UssTestFault $a
        $told = Invoke-UssTestShell $script $environment
        $told.Errors | Should -BeNullOrEmpty
        $told.Output | Should -Match 'goes on at byte'
        (Get-UssPackageVersion 'large' @atB).Sha256 | Should -Be (Get-UssPackageVersion 'large' @atA).Sha256
    }
}

Describe 'A credential' {
    It 'arrives as it is: <_>' -ForEach 'umlaut', 'ideograph', 'emoji', 'quote', 'all' {
        $text = @{ umlaut = "j$([char] 0xFC)rgen"; ideograph = "$([char] 0x6F22)$([char] 0x5B57)"; emoji = [char]::ConvertFromUtf32(0x1F600); quote = "o'n`"e\\"; all = $any }[$_]
        Get-UssPackage -Server $echo.Url -Credential (New-UssTestCredential "u $text" "t/$text") | Should -BeNullOrEmpty
        Get-SignIn | Should -Be "u $text", "t/$text"
        Get-UssPersonalToken -Server $echo.Url -Credential (New-UssTestCredential "p $text" "w/$text") | Should -BeNullOrEmpty
        Get-SignIn | Should -Be "p $text", "w/$text"
        $told = Invoke-UssTestShell "Import-Module '$env:USS_TEST_MODULE'; @(Get-UssPackage).Count" @{ USS_SERVER = $echo.Url; USS_USERNAME = "e $text"; USS_PERSONAL_TOKEN = "v/$text" }
        "$($told.Output)$($told.Errors)" | Should -Be '0'
        Get-SignIn | Should -Be "e $text", "v/$text"
    }

    It 'of a person on a real server may have any writing' {
        $password = "lang $any wort"
        $password | Invoke-UssServerProgram user add 'carla' --email 'carla@example.com' --password-stdin --data $a.Data | Out-Null
        @(Get-UssPersonalToken -Server $a.Url -Credential (New-UssTestCredential 'carla' $password)).Count | Should -Be 0
    }

    It 'with half of a surrogate pair is refused before the network: <Name>' -ForEach @(
        @{ Name = 'the user'; User = "a$([char] 0xD83D)"; Secret = 'token' }
        @{ Name = 'the secret'; User = 'anna'; Secret = "token$([char] 0xDE00)" }
    ) {
        $before = (Get-CanaryTraffic $echo).Length
        $failure = Get-OnlyError { Get-UssPackage -Server $echo.Url -Credential (New-UssTestCredential $User $Secret) }
        $failure.FullyQualifiedErrorId | Should -Be 'InvalidArgument,Get-UssPackage'
        "$failure" | Should -Match 'surrogate|Unicode|UTF-16'
        (Get-CanaryTraffic $echo).Length | Should -Be $before
    }

    if ($onUnix) {
        It 'in the environment that is no UTF-8 is refused before the network' {
            $before = (Get-CanaryTraffic $echo).Length
            $pwsh = [System.Environment]::ProcessPath
            $script = "Import-Module '$env:USS_TEST_MODULE'; try { Get-UssPackage } catch { `$_.FullyQualifiedErrorId; `"`$_`" }"
            $told = & /bin/sh -c 'USS_SERVER=$1 USS_USERNAME=anna USS_PERSONAL_TOKEN=$(printf "a\377b") exec "$2" -NoProfile -NonInteractive -Command "$3"' sh $echo.Url $pwsh $script
            $told[0] | Should -Be 'InvalidArgument,Get-UssPackage'
            $told[1] | Should -BeLike "The environment variable 'USS_PERSONAL_TOKEN' holds no Unicode text*"
            (Get-CanaryTraffic $echo).Length | Should -Be $before
        }
    }
    else {
        It 'in the environment with half of a surrogate pair is refused before the network: <Variable>' -ForEach @(
            @{ Variable = 'USS_PERSONAL_TOKEN'; Says = "The environment variable 'USS_PERSONAL_TOKEN' holds no Unicode text*" }
            @{ Variable = 'USS_USERNAME'; Says = 'A value holds half of a surrogate pair*' }
        ) {
            $before = (Get-CanaryTraffic $echo).Length
            $environment = @{ USS_SERVER = $echo.Url; USS_USERNAME = 'anna'; USS_PERSONAL_TOKEN = 'token' }
            $environment[$Variable] += [char] 0xD83D
            $told = Invoke-UssTestShell "Import-Module '$env:USS_TEST_MODULE'; try { Get-UssPackage } catch { `$_.FullyQualifiedErrorId; `"`$_`" }" $environment
            $told.Errors | Should -BeNullOrEmpty
            $id, $message, $rest = $told.Output -split '\r?\n'
            $id | Should -Be 'InvalidArgument,Get-UssPackage'
            $message | Should -BeLike $Says
            $rest | Should -BeNullOrEmpty
            (Get-CanaryTraffic $echo).Length | Should -Be $before
        }
    }
}
