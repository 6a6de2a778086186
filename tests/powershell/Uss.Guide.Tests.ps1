# The guide's own scripts, word for word, with the server's address, the user and the token filled in.

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    Import-Module $env:USS_TEST_MODULE -Force
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-guide-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $source = Start-UssTestServer $folder 'anna'
    $destination = Start-UssTestServer $folder 'bert'
    Add-UssTestPackage $source 'ls-central-app' '1.0.0' | Out-Null
    Add-UssTestPackage $source 'ls-central-app' '1.2.0' | Out-Null
    Add-UssTestPackage $source 'example-runtime' '2.0.0' | Out-Null
    Add-UssTestPackage $source 'example-package' '1.0.0' 'example-runtime=>=2.0' | Out-Null

    function Invoke-Guide {
        # Runs a script of the guide with what it leaves open filled in.
        param([string] $Script, [hashtable] $With)
        foreach ($placeholder in $With.Keys) {
            if (-not $Script.Contains($placeholder)) { throw "the guide's script has no '$placeholder'" }
            $Script = $Script.Replace($placeholder, $With[$placeholder])
        }
        & ([scriptblock]::Create($Script))
    }
}

AfterAll {
    Get-UssConnection | ForEach-Object { Disconnect-UssServer $_ }
    $source, $destination | Stop-UssTestServer
    Remove-Item $folder -Recurse -Force
}

Describe 'The guide, Authenticate with Your PAT' {
    It 'exchanges a token that holds / + = for a bearer token' {
        $source.Token | Should -Match '[/].*=$|[+].*=$'
        $answer = Invoke-Guide @'
$username = "your_username@example.com"
$token = "token_hash"
# URL encode the parameters to handle special characters
$encodedUsername = [System.Web.HttpUtility]::UrlEncode($username)
$encodedToken = [System.Web.HttpUtility]::UrlEncode($token)
$url = "https://your-server.com/api/v1/PersonalTokens/authenticate?username=$encodedUsername&personalToken=$encodedToken"
$response = Invoke-RestMethod -Uri $url -Method Post
Write-Output $response
'@ @{ 'your_username@example.com' = 'anna@example.com'; 'token_hash' = $source.Token; 'https://your-server.com' = $source.Url }
        $answer.token | Should -Match '^eyJ'
        $answer.user.email | Should -Be 'anna@example.com'
        $answer.user.enabled | Should -BeTrue
        @($answer.user.PSObject.Properties.Name | Sort-Object) -join ' ' | Should -Be 'email enabled firstName fullName lastName userId'
        $answer.tokenExpires | Should -Not -BeNullOrEmpty
    }

    It 'uses the bearer token for requests' {
        $result = Invoke-Guide @'
# Step 1: Authenticate and get bearer token
$username = "your_username@example.com"
$token = "token_hash" # Example: "zBI2NWnAy9EWhXfrqZTgmyV662yLXYcY1Hjoq+8X1xkurgYKM2RtogIh0jqdm8DWZuVtdC/pRQo2X0C02ZRyjw=="
# URL encode the parameters to handle special characters
$encodedUsername = [System.Web.HttpUtility]::UrlEncode($username)
$encodedToken = [System.Web.HttpUtility]::UrlEncode($token)
$url = "https://your-server.com/api/v1/PersonalTokens/authenticate?username=$encodedUsername&personalToken=$encodedToken"
$response = Invoke-RestMethod -Uri $url -Method Post
$bearerToken = $response.token
# Step 2: Use the bearer token for API requests
$headers = @{ "Authorization" = "Bearer $bearerToken" }
$apiUrl = "https://your-server.com/api/v1/Packages"
$result = Invoke-RestMethod -Uri $apiUrl -Headers $headers
Write-Output $result
'@ @{ 'your_username@example.com' = 'anna@example.com'; 'token_hash' = $source.Token; 'https://your-server.com' = $source.Url }
        @($result | ForEach-Object { $_ } | ForEach-Object id | Sort-Object) -join ' ' | Should -Be 'example-package example-runtime ls-central-app'
    }
}

Describe 'The guide, Authenticate PowerShell Cmdlets' {
    It 'authenticates a session' {
        $connection = Invoke-Guide @'
$UserName = "your-user-name@here.com"
$SecurePat = "Generated PAT" | ConvertTo-SecureString -AsPlainText -Force
$Credential = New-Object System.Management.Automation.PSCredential -ArgumentList ($UserName, $SecurePat)
Connect-UssServer -Credential $Credential -Server "SERVER URL"
'@ @{ 'your-user-name@here.com' = 'anna@example.com'; 'Generated PAT' = $source.Token; 'SERVER URL' = $source.Url }
        $connection.Server | Should -Be $source.Url
        $connection.UserName | Should -Be 'anna@example.com'
        $connection.User.Email | Should -Be 'anna@example.com'
        $connection.Default | Should -BeTrue
        (Get-UssPackageVersion 'ls-central-app').Version | Should -Be '1.2.0'
        Disconnect-UssServer
    }

    It 'authenticates individual cmdlets' {
        $version = Invoke-Guide @'
$UserName = "your-user-name@here.com"
$SecurePat = "Generated PAT" | ConvertTo-SecureString -AsPlainText -Force
$Credential = New-Object System.Management.Automation.PSCredential -ArgumentList ($UserName, $SecurePat)
Get-UssPackageVersion -PackageId 'ls-central-app' -VersionQuery '' -Credential $Credential -Server "SERVER URL"
'@ @{ 'your-user-name@here.com' = 'anna@example.com'; 'Generated PAT' = $source.Token; 'SERVER URL' = $source.Url }
        $version.PSTypeNames[0] | Should -Be 'Uss.PackageVersion'
        "$($version.Id) $($version.Version)" | Should -Be 'ls-central-app 1.2.0'
    }

    It 'copies a package with its dependencies, each server with its own user' {
        # The script names no credential for the destination: there the session is connected.
        Connect-UssServer $destination.Url $destination.Credential | Out-Null
        $rows = Invoke-Guide @'
$SourceServer = 'https://updateservice.lsretail.com'
$Server = 'http://localhost:8060'
$UserName = "your-user-name@here.com"
$SecurePat = "password" | ConvertTo-SecureString -AsPlainText -Force
$Credential = New-Object System.Management.Automation.PSCredential -ArgumentList ($UserName, $SecurePat)
Copy-UssPackageFromServer -PackageId 'example-package' -SourceServer $SourceServer -SourceCredential $Credential -Server $Server
'@ @{ 'https://updateservice.lsretail.com' = $source.Url; 'http://localhost:8060' = $destination.Url; 'your-user-name@here.com' = 'anna@example.com'; '"password"' = "'$($source.Token)'" }
        $rows.Id -join ' ' | Should -Be 'example-runtime example-package'
        $rows.Status | Should -Be 'Copied', 'Copied'
        $there = Get-UssPackageVersion 'example-package', 'example-runtime' -Server $destination.Url
        $here = Get-UssPackageVersion 'example-package', 'example-runtime' -Server $source.Url -Credential $source.Credential
        $there.Sha256 | Should -Be $here.Sha256
        Disconnect-UssServer
    }
}
