# Bad input and bad servers: each gives one clear error, and changes nothing.

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    . $PSScriptRoot/Platform.ps1
    Import-Module $env:USS_TEST_MODULE -Force
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-errors-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $a = Start-UssTestServer $folder 'anna'
    $b = Start-UssTestServer $folder 'bert'
    Add-UssTestPackage $a 'app' '1.0.0' | Out-Null
    Add-UssTestPackage $a 'app' '2.0.0-rc.1' | Out-Null
    $atA = @{ Server = $a.Url; Credential = $a.Credential }
    $copy = @{ SourceServer = $a.Url; SourceCredential = $a.Credential; Server = $b.Url; Credential = $b.Credential }

    function Confirm-Error {
        # What every error has.
        param($Failure, [string] $Code, [string] $Cmdlet, [string] $Category)
        $Failure.FullyQualifiedErrorId | Should -Be "$Code,$Cmdlet"
        $Failure.CategoryInfo.Category | Should -Be $Category
        "$Failure" | Should -Not -BeNullOrEmpty
        "$Failure".Length | Should -BeLessThan 1500
        $Failure.ErrorDetails.RecommendedAction | Should -Not -BeNullOrEmpty -Because $Code
        $Failure.Exception.Data.Keys | Sort-Object | Should -Be 'Hint', 'HttpStatus', 'Server'
        foreach ($token in $a.Token, $b.Token) { "$Failure $($Failure.ErrorDetails.RecommendedAction)" | Should -Not -Match ([regex]::Escape($token)) }
    }

    function New-Zip {
        param([string] $Name, [hashtable] $Entries)
        $path = Join-Path $folder $Name
        $zip = [System.IO.Compression.ZipFile]::Open($path, 'Create')
        foreach ($entry in $Entries.Keys) {
            $writer = [System.IO.StreamWriter]::new($zip.CreateEntry($entry).Open())
            $writer.Write($Entries[$entry])
            $writer.Dispose()
        }
        $zip.Dispose()
        $path
    }
}

AfterEach {
    Clear-UssTestFault $a
    Clear-UssTestFault $b
    Get-UssPackage -Server $b.Url -Credential $b.Credential | Should -BeNullOrEmpty
    (Get-UssPackage @atA).Id | Should -Be 'app'
    $left = Wait-UssNativeIdle
    "$($left.Connections) $($left.Operations) $($left.Buffers) $($left.Tasks)" | Should -Be '0 0 0 0'
}

AfterAll {
    $a, $b | Stop-UssTestServer
    Remove-Item $folder -Recurse -Force
}

Describe 'Tokens' {
    It 'a wrong token' {
        $failure = Get-OnlyError { Connect-UssServer $a.Url (New-UssTestCredential 'anna' 'wrong') }
        Confirm-Error $failure 'AuthenticationFailed' 'Connect-UssServer' 'AuthenticationError'
        $failure.Exception.Data['HttpStatus'] | Should -Be 401
        $failure.Exception.Data['Server'] | Should -Be $a.Url
    }

    It 'an expired token' {
        $token = Invoke-UssServerProgram token create --user anna --name old --expires '2020-01-01' --data $a.Data
        Confirm-Error (Get-OnlyError { Connect-UssServer $a.Url (New-UssTestCredential 'anna' $token) }) 'AuthenticationFailed' 'Connect-UssServer' 'AuthenticationError'
    }

    It 'a revoked token, also with a bearer at hand' {
        $token = Invoke-UssServerProgram token create --user anna --name revoked --data $a.Data
        $credential = New-UssTestCredential 'anna' $token
        (Get-UssPackage -Server $a.Url -Credential $credential).Id | Should -Be 'app'
        $id = @(Invoke-UssServerProgram token list --user anna --data $a.Data | Where-Object { $_ -match 'revoked' })[-1] -split '\s+' | Select-Object -First 1
        Invoke-UssServerProgram token revoke $id --data $a.Data | Out-Null
        Confirm-Error (Get-OnlyError { Get-UssPackage -Server $a.Url -Credential $credential }) 'AuthenticationFailed' 'Get-UssPackage' 'AuthenticationError'
    }

    It 'an empty user or token, before the network' {
        Confirm-Error (Get-OnlyError { Get-UssPackageVersion x -Server http://127.0.0.1:1 -Credential (New-UssTestCredential 'u' '') }) 'InvalidArgument' 'Get-UssPackageVersion' 'InvalidArgument'
    }

    It 'a credential that is none' {
        $failure = Get-OnlyError { Get-UssPackage -Server $a.Url -Credential 'anna' }
        Confirm-Error $failure 'InvalidArgument' 'Get-UssPackage' 'InvalidArgument'
        $failure.ErrorDetails.RecommendedAction | Should -Match 'PSCredential'
    }
}

Describe 'Packages and queries' {
    It 'an unknown package' {
        $failure = Get-OnlyError { Get-UssPackageVersion 'nothing' @atA }
        Confirm-Error $failure 'PackageNotFound' 'Get-UssPackageVersion' 'ObjectNotFound'
        $failure.TargetObject | Should -Be 'nothing'
    }

    It 'a query that selects nothing names what there is' {
        $failure = Get-OnlyError { Get-UssPackageVersion 'app' '>=2.0' @atA }
        Confirm-Error $failure 'NoPackageInRange' 'Get-UssPackageVersion' 'ObjectNotFound'
        "$failure $($failure.ErrorDetails.RecommendedAction)" | Should -Match '2\.0\.0-rc\.1'
    }

    It 'a query that does not parse, with the place' {
        $failure = Get-OnlyError { Get-UssPackageVersion 'app' '1.0 && 2.0' @atA }
        Confirm-Error $failure 'InvalidVersionQuery' 'Get-UssPackageVersion' 'InvalidArgument'
        "$failure" | Should -Match '\^'
    }

    It 'a query with a placeholder' {
        $failure = Get-OnlyError { Get-UssPackageVersion 'app' '${Version}' @atA }
        Confirm-Error $failure 'InvalidVersionQuery' 'Get-UssPackageVersion' 'InvalidArgument'
        "$failure" | Should -Match 'Version'
    }

    It 'a value with a NUL smuggles no field in' {
        $failure = Get-OnlyError { Get-UssPackageVersion "app`0all`0true" @atA }
        Confirm-Error $failure 'InvalidArgument' 'Get-UssPackageVersion' 'InvalidArgument'
    }
}

Describe 'Publishing what is no package' {
    It '<Name>' -ForEach @(
        @{ Name = 'not a zip'; Make = { $p = Join-Path $folder 'text.zip'; Set-Content $p 'no zip'; $p } }
        @{ Name = 'no manifest'; Make = { New-Zip 'none.zip' @{ 'a.txt' = 'a' } } }
        @{ Name = 'huge manifest'; Make = { New-Zip 'huge.zip' @{ 'Manifest.json' = '{"Id":"huge","Version":"1.0.0","Description":"' + [guid]::NewGuid() + ('x' * 1200000) + '"}' } } }
        @{ Name = 'wrong id'; Make = { New-Zip 'wrong.zip' @{ 'Manifest.json' = '{"Id":"Wrong Id","Version":"1.0.0"}' } } }
    ) {
        $file = & $Make
        $failure = Get-OnlyError { Invoke-UssMethod '/api/v1/Packages' POST -InFile $file -ContentType 'application/zip' -Server $b.Url -Credential $b.Credential }
        Confirm-Error $failure 'InvalidPackage' 'Invoke-UssMethod' 'InvalidData'
    }
}

Describe 'Copies' {
    It 'content whose digest differs' {
        Add-UssTestFault $a @{ path = '/content'; count = 100; action = @{ corrupt = 500 } }
        Confirm-Error (Get-OnlyError { Copy-UssPackageFromServer 'app' @copy }) 'ChecksumMismatch' 'Copy-UssPackageFromServer' 'InvalidData'
    }

    It 'no room on the destination' {
        Add-UssTestFault $b @{ method = 'POST'; path = '/api/v1/Packages'; query = 'packageId'; count = 100; action = @{ status = @{ code = 507 } } }
        Confirm-Error (Get-OnlyError { Copy-UssPackageFromServer 'app' @copy }) 'InsufficientStorage' 'Copy-UssPackageFromServer' 'ResourceUnavailable'
    }
}

Describe 'Servers' {
    It 'a server that is not there' {
        Confirm-Error (Get-OnlyError { Get-UssPackage -Server 'http://127.0.0.1:1' -Credential $a.Credential }) 'ConnectionFailed' 'Get-UssPackage' 'ConnectionError'
    }

    It 'plain http to another machine' {
        Confirm-Error (Get-OnlyError { Get-UssPackage -Server 'http://updates.example.com' -Credential $a.Credential }) 'InsecureTransport' 'Get-UssPackage' 'SecurityError'
    }

    It 'what is no server' {
        Confirm-Error (Get-OnlyError { Get-UssPackage -Server 42 -Credential $a.Credential }) 'InvalidArgument' 'Get-UssPackage' 'InvalidArgument'
        Confirm-Error (Get-OnlyError { Get-UssPackage -Server 'ftp://updates.example.com' -Credential $a.Credential }) 'InvalidArgument' 'Get-UssPackage' 'InvalidArgument'
    }

    It "a proxy's page instead of an answer" {
        Add-UssTestFault $a @{ path = '/api/v1/Packages'; action = @{ status = @{ code = 200; contentType = 'text/html'; body = '<html><head><title>Blocked by policy</title></head><body>no</body></html>' } } }
        $failure = Get-OnlyError { Get-UssPackage @atA }
        Confirm-Error $failure 'ProtocolViolation' 'Get-UssPackage' 'ProtocolError'
        "$failure" | Should -Match 'Blocked by policy'
    }

    It 'a proxy that is not there, whose credential leaves nothing behind' {
        $through = @{ Server = 'http://updates.example.com'; Credential = $a.Credential; AllowUnencryptedAuthentication = $true; ProxyCredential = $a.Credential }
        Confirm-Error (Get-OnlyError { Connect-UssServer @through -Proxy 'http://127.0.0.1:1' }) 'ConnectionFailed' 'Connect-UssServer' 'ConnectionError'
        Confirm-Error (Get-OnlyError { Connect-UssServer @through }) 'InvalidArgument' 'Connect-UssServer' 'InvalidArgument'
    }

    It 'a certificate that nobody signed, or for another name, and no check of it' {
        $certificateFile, $keyFile = Get-UssTestCertificate $folder
        $tls = Start-UssTestServer $folder 'tina' @('--tls-cert', $certificateFile, '--tls-key', $keyFile)
        try {
            Confirm-Error (Get-OnlyError { Connect-UssServer $tls.Url $tls.Credential }) 'TlsFailed' 'Connect-UssServer' 'ConnectionError'
            if (-not $onWine) {
                Confirm-Error (Get-OnlyError { Connect-UssServer $tls.Url $tls.Credential -CertificateAuthority $certificateFile }) 'TlsFailed' 'Connect-UssServer' 'ConnectionError'
            }
            $output = Connect-UssServer $tls.Url $tls.Credential -SkipCertificateCheck 3>&1
            @($output | Where-Object { $_ -is [System.Management.Automation.WarningRecord] }).Count | Should -Be 1
            $again = Connect-UssServer $tls.Url $tls.Credential -SkipCertificateCheck 3>&1
            @($again).Count | Should -Be 1
            Disconnect-UssServer $tls.Url
        }
        finally { $tls | Stop-UssTestServer }
    }
}

Describe 'How errors behave' {
    It 'an error about an item does not end the cmdlet, unless -ErrorAction says so' {
        (Get-UssPackageVersion 'nothing', 'app' @atA -ErrorAction SilentlyContinue).Id | Should -Be 'app'
        { Get-UssPackageVersion 'nothing', 'app' @atA -ErrorAction Stop } | Should -Throw -ErrorId 'PackageNotFound,Get-UssPackageVersion'
    }

    It 'InvalidArgument, NotConnected and a failed connect end the cmdlet' {
        { Get-UssPackage -ErrorAction SilentlyContinue } | Should -Throw -ErrorId 'NotConnected,Get-UssPackage'
        { Connect-UssServer 'http://127.0.0.1:1' $a.Credential -ErrorAction SilentlyContinue } | Should -Throw -ErrorId 'ConnectionFailed,Connect-UssServer'
        { @{ x = 1 } | Get-UssPackageVersion @atA -ErrorAction SilentlyContinue } | Should -Throw -ErrorId 'InvalidArgument,Get-UssPackageVersion'
    }
}
