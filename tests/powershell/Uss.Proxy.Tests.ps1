# Which proxy a call goes through: the one that is named, else the environment's, else the system's. The proxies are taps
# that keep what they are sent and tunnel nothing; no name is looked up, as that is a proxy's task.

. $PSScriptRoot/Platform.ps1

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    . $PSScriptRoot/Canary.ps1
    $first = Start-CanaryTap
    $second = Start-CanaryTap
    foreach ($tap in $first, $second) { $tap.Answers.Text = "HTTP/1.1 407 Proxy Authentication Required`r`nContent-Length: 0`r`nConnection: close`r`n`r`n" }

    function Get-Told {
        # The error's code of a call in a process with this environment, and which of the proxies were asked for what.
        param([hashtable] $Environment, [string] $More = '', [string] $Server = 'https://site.invalid')
        $before = (Get-CanaryTraffic $first).Length, (Get-CanaryTraffic $second).Length
        # Nothing of this machine's own settings.
        $clean = [hashtable]::new() # which tells http_proxy from HTTP_PROXY
        foreach ($name in 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY') { $clean[$name] = $Environment[$name] }
        if ([System.Environment]::OSVersion.Platform -eq 'Unix') { foreach ($name in @($clean.Keys)) { $clean[$name.ToLowerInvariant()] = $null } }
        $told = Invoke-UssTestShell "Import-Module '$env:USS_TEST_MODULE'
            `$s = [securestring]::new(); `$s.AppendChar('x'); `$c = [pscredential]::new('anna', `$s)
            try { `$null = Connect-UssServer '$Server' `$c -AllowUnencryptedAuthentication $More } catch { `$_.FullyQualifiedErrorId.Split(',')[0] }" $clean
        $told.Errors | Should -BeNullOrEmpty
        $asked = foreach ($at in 0, 1) {
            $traffic = (Get-CanaryTraffic @($first, $second)[$at]).Substring($before[$at])
            # Connections that .NET's tap had to make anew are the same request.
            foreach ($line in [regex]::Matches($traffic, '(?m)^(CONNECT \S+|POST http://[^/?]+)') | Select-Object -First 1) { "$(@('first', 'second')[$at]) $line" }
        }
        "$($told.Output): $($asked -join ', ')"
    }
}

AfterAll { $first, $second | Stop-CanaryTap }

Describe 'A call goes' {
    It 'through the proxy of the environment' {
        Get-Told @{ HTTPS_PROXY = $first.Url } | Should -Be 'ProxyAuthenticationRequired: first CONNECT site.invalid:443'
        Get-Told @{ HTTP_PROXY = $first.Url } -Server 'http://site.invalid' | Should -Be 'ProxyAuthenticationRequired: first POST http://site.invalid'
        Get-Told @{ ALL_PROXY = $first.Url } | Should -Be 'ProxyAuthenticationRequired: first CONNECT site.invalid:443'
    }

    It 'around it where NO_PROXY names the server, and to this machine' {
        Get-Told @{ HTTPS_PROXY = $first.Url; NO_PROXY = 'other.invalid,site.invalid' } | Should -Be 'NameNotResolved: '
        Get-Told @{ HTTPS_PROXY = $first.Url; HTTP_PROXY = $first.Url } -Server 'http://127.0.0.1:1' | Should -Be 'ConnectionFailed: '
    }

    It 'through the proxy that is named, whatever the environment says' {
        Get-Told @{ HTTPS_PROXY = $first.Url; NO_PROXY = 'site.invalid' } "-Proxy '$($second.Url)'" | Should -Be 'ProxyAuthenticationRequired: second CONNECT site.invalid:443'
    }

    It 'through none with -NoProxy' {
        Get-Told @{ HTTPS_PROXY = $first.Url } '-NoProxy' | Should -Be 'NameNotResolved: '
    }
}

if (-not $onUnix) {
    Describe 'The system''s proxy' {
        BeforeAll {
            $settings = 'HKCU:\Software\Microsoft\Windows\CurrentVersion\Internet Settings'
            if (-not (Test-Path $settings)) { New-Item $settings -Force | Out-Null }
            $names = 'ProxyEnable', 'ProxyServer', 'ProxyOverride'
            $kept = Get-ItemProperty $settings

            function Set-SystemProxy {
                param([int] $Enable, [string] $Server, [string] $Override)
                Set-ItemProperty $settings ProxyEnable $Enable -Type DWord
                Set-ItemProperty $settings ProxyServer $Server
                Set-ItemProperty $settings ProxyOverride $Override
            }
        }

        AfterAll {
            foreach ($name in $names) {
                if ($kept.PSObject.Properties[$name]) { Set-ItemProperty $settings $name $kept.$name } else { Remove-ItemProperty $settings $name -ErrorAction Ignore }
            }
        }

        It 'is used where the environment names none' {
            Set-SystemProxy 1 ([uri] $first.Url).Authority ''
            Get-Told @{} | Should -Be 'ProxyAuthenticationRequired: first CONNECT site.invalid:443'
            Get-Told @{ HTTPS_PROXY = $second.Url } | Should -Be 'ProxyAuthenticationRequired: second CONNECT site.invalid:443'
            Get-Told @{} '-NoProxy' | Should -Be 'NameNotResolved: '
            Get-Told @{} -Server 'http://127.0.0.1:1' | Should -Be 'ConnectionFailed: '
        }

        It 'is not used where it is switched off, or is not for the server' {
            Set-SystemProxy 0 ([uri] $first.Url).Authority ''
            Get-Told @{} | Should -Be 'NameNotResolved: '
            Set-SystemProxy 1 ([uri] $first.Url).Authority '10.*;*.invalid;<local>'
            Get-Told @{} | Should -Be 'NameNotResolved: '
        }
    }
}
