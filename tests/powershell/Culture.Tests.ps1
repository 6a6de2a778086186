# The language of the user changes nothing: not what is sent or compared, and not the numbers and dates that are shown.

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    . $PSScriptRoot/Canary.ps1
    $modules = Split-Path $env:USS_TEST_MODULE
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-culture-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $a = Start-UssTestServer $folder 'anna'
    Add-UssTestPackage $a 'title' '1.5.0' -Size 2500000 | Out-Null
    Add-UssTestPackage $a 'title' '1.10.0' 'italic=>=1.5' -Size 2500000 | Out-Null
    Add-UssTestPackage $a 'italic' '1.5.0' | Out-Null
    # One that ends soon, which is warned of.
    $soon = Invoke-UssServerProgram token create --user anna --name soon --expires ([datetime]::UtcNow.AddDays(5).ToString('o')) --data $a.Data
    $tap = Start-CanaryTap ([uri] $a.Url).Port

    function New-UserCulture {
        # A culture that writes 1,5 and 31.12.2027, also where .NET has no cultures' data.
        param([string] $Name)
        $culture = [cultureinfo]::new($Name)
        if ($Name -ne 'en-US' -and $culture.NumberFormat.NumberDecimalSeparator -eq '.') {
            $culture.NumberFormat.NumberDecimalSeparator = ','
            $culture.NumberFormat.NumberGroupSeparator = '.'
            $culture.DateTimeFormat.ShortDatePattern = 'dd.MM.yyyy'
        }
        $culture
    }

    function Invoke-AsUser {
        # Runs a script as a user of this culture: what it wrote, its progress, and the requests that the tap saw.
        param([string] $Culture, [string] $Script)
        $before = (Get-CanaryTraffic $tap).Length
        $shell = New-UssTestRunner
        $start = 'param($culture, $module, $url, $credential, $person, $soon, $to)
            [cultureinfo]::CurrentCulture = [cultureinfo]::CurrentUICulture = $culture
            $ErrorActionPreference = "Stop"
            Import-Module $module
            $at = @{ Server = $url; Credential = $credential }
            $asPerson = @{ Server = $url; Credential = $person }
            '
        [void] $shell.AddScript($start + $Script).AddArgument((New-UserCulture $Culture)).AddArgument($env:USS_TEST_MODULE)
        [void] $shell.AddArgument($tap.Url).AddArgument($a.Credential).AddArgument($a.Person).AddArgument((New-UssTestCredential 'anna' $soon))
        [void] $shell.AddArgument((New-Item -ItemType Directory -Path (Join-Path $folder ([guid]::NewGuid()))).FullName)
        try {
            $output = @($shell.Invoke())
            $traffic = (Get-CanaryTraffic $tap).Substring($before)
            # But for signing in, which a bearer may spare; ids are by chance.
            $requests = [regex]::Matches($traffic, '(GET|POST|PUT|PATCH|DELETE) /\S+ HTTP|\{"(name|expires|rate)"[^{}]*\}') |
                ForEach-Object { $_.Value -replace '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID' } | Where-Object { $_ -notmatch 'authenticate|signin' }
            @{ Output = $output; Progress = @($shell.Streams.Progress); Warnings = @($shell.Streams.Warning); Requests = @($requests) }
        }
        finally { $shell.Dispose() }
    }

    function Get-CallError {
        # The error of a call in a process of this culture.
        param([string] $Culture, [string] $Module, [string] $Call, [hashtable] $Environment)
        $shell = Invoke-UssTestShell "[cultureinfo]::CurrentCulture = [cultureinfo]::CurrentUICulture = '$Culture'
            Import-Module '$(Join-Path $modules $Module)'
            try { $Call -ErrorAction Stop } catch { `$_.FullyQualifiedErrorId; `"`$_`" }" $Environment
        $shell.Errors | Should -BeNullOrEmpty
        $shell.Output
    }
}

AfterAll {
    $tap | Stop-CanaryTap
    $a | Stop-UssTestServer
    Remove-Item $folder -Recurse -Force
}

Describe 'An address in capitals' {
    It 'finds its credential in the environment for <Module>, in Turkish as in English' -ForEach @(
        @{ Module = 'Uss'; Call = "Get-UssPackage -Server 'https://SITE.INVALID'"; Prefix = 'USS'; Token = 'USS_PERSONAL_TOKEN' }
        @{ Module = 'Vap'; Call = "Get-VapEnvironment -Server 'https://SITE.INVALID'"; Prefix = 'VAP'; Token = 'VAP_ACCESS_TOKEN' }
    ) {
        # Found, the credential lacks its token, which the error then names. The proxy leads nowhere: no name is looked up.
        $environment = @{ "${Prefix}_SERVER" = 'https://SITE.INVALID'; "${Prefix}_USERNAME" = 'anna'; HTTPS_PROXY = 'http://127.0.0.1:1' }
        $english = Get-CallError 'en-US' $Module $Call $environment
        $english | Should -Match $Token
        Get-CallError 'tr-TR' $Module $Call $environment | Should -Be $english
    }
}

Describe 'In <_>' -ForEach 'de-DE', 'tr-TR', 'ar-SA', 'fa-IR', 'th-TH' {
    BeforeAll {
        function Assert-Same {
            # That a script tells an English user the same, with the same requests.
            param([string] $Culture, [string] $Script, [int] $Requests)
            $english = Invoke-AsUser 'en-US' $Script
            $other = Invoke-AsUser $Culture $Script
            $english.Output.Count | Should -BeGreaterThan 0
            $other.Output | Should -Be $english.Output
            "$($other.Warnings)" | Should -Be "$($english.Warnings)"
            $english.Requests.Count | Should -BeGreaterOrEqual $Requests
            $other.Requests | Sort-Object | Should -Be ($english.Requests | Sort-Object)
            $other
        }
    }

    It 'objects are the same' {
        $null = Assert-Same $_ '$rows = @(Get-UssPackage TIT* @at) + @(Get-UssPackageVersion title ">=1.5" -All @at) + @(Resolve-UssDependency title ">=1.6" @at)
            [System.Management.Automation.PSSerializer]::Serialize($rows, 5)' 3
    }

    It 'tables and lists are the same' {
        $told = Assert-Same $_ '$rows = @(Get-UssPackageVersion title -All @at); $rows | Format-Table | Out-String -Width 200; $rows | Format-List | Out-String -Width 200
            Get-UssPackage @at | Out-String -Width 200
            $token = New-UssPersonalToken "table" -Expires "2027-03-04T05:06:07Z" @asPerson
            (Get-UssPersonalToken $token.Id @asPerson | Out-String -Width 200).Replace($token.Id, "ID")
            $token | Remove-UssPersonalToken -Force @asPerson' 4
        "$($told.Output)" | Should -Match '2\.5 MB \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ'
        "$($told.Output)" | Should -Match '2027-03-04 05:06:07Z'
    }

    It 'an end is the same, however it is typed' {
        $told = Assert-Same $_ '$token = New-UssPersonalToken "typed" -Expires "2027-03-04T05:06:07Z" @asPerson
            $token.Expires.ToString("o")
            ($token | Set-UssPersonalToken -Expires "04/05/2027 06:07:08Z" @asPerson).Expires.ToString("o")
            ($token | Set-UssPersonalToken -Expires ([datetime]::new(2027, 5, 6, 7, 8, 9, [System.DateTimeKind]::Utc)) @asPerson).Expires.ToString("o")
            (Get-UssPersonalToken $token.Id @asPerson).Expires.ToString("o")
            $token | Remove-UssPersonalToken -Force @asPerson' 5
        $told.Output | Should -Be '2027-03-04T05:06:07.0000000Z', '2027-04-05T06:07:08.0000000Z', '2027-05-06T07:08:09.0000000Z', '2027-05-06T07:08:09.0000000Z'
    }

    It 'a token that ends soon is warned of in the same words' {
        $told = Assert-Same $_ '(Connect-UssServer $url $soon).UserName; Disconnect-UssServer' 0
        @($told.Warnings).Count | Should -Be 1
    }

    It 'a body is the same' {
        $told = Assert-Same $_ 'try { Invoke-UssMethod /api/v1/none POST -Body ([ordered] @{ rate = 1.5; most = 12345678.25; when = [datetime]::new(2027, 3, 4, 5, 6, 7, [System.DateTimeKind]::Utc); span = [timespan]::new(1, 2, 3, 4); share = [decimal] 0.25; cost = [double]::Epsilon }) @at }
            catch { $_.FullyQualifiedErrorId }' 2
        "$($told.Requests)" | Should -Match '"rate":1\.5,"most":12345678\.25,"when":"2027-03-04T05:06:07\.0000000Z","span":"1\.02:03:04","share":0\.25'
    }

    It 'limits are read, and progress shown, in the same numbers' {
        $told = Invoke-AsUser $_ '(Save-UssPackage title 1.5.0 -Path $to -MaxBytesPerSecond 1e6 -TimeoutSec "20" -ThrottleLimit "2" @at).Length'
        $told.Output | Should -Be (Get-Item (Join-Path $folder 'title-1.5.0.zip')).Length
        $said = @($told.Progress | Where-Object { $_.ActivityId -eq 80600 -and $_.StatusDescription -match ' of ' })
        $said.Count | Should -BeGreaterThan 0
        foreach ($record in $said) { $record.PercentComplete | Should -BeIn (-1..100) }
        $said.StatusDescription | Should -MatchExactly '^\d of 1, [\d.]+ [kM]?B of 2\.5 MB(, [\d.]+ [kM]?B/s)?$'
    }
}
