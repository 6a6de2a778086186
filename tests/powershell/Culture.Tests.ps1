# The language of the user changes nothing that is sent or compared.

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    $modules = Split-Path $env:USS_TEST_MODULE

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
