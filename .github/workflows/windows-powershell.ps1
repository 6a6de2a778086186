# Windows PowerShell 5.1 imports the staged modules and signs in, looks up and copies between two real servers. The Pester
# suite is written for PowerShell 7; this is what has to hold on 5.1 for anything else to.
$ErrorActionPreference = 'Stop'
if ($PSVersionTable.PSEdition -ne 'Desktop') { throw 'This is for Windows PowerShell.' }
$program = (Get-Command ./target/debug/uss-server.exe).Source
$scratch = Join-Path $env:RUNNER_TEMP 'windows-powershell'
$servers = @()
try {
    foreach ($name in 'source', 'destination') {
        $data = Join-Path $scratch $name
        'a password of 4 words' | & $program user add anna --email anna@example.com --admin --data $data
        if ($LASTEXITCODE) { throw "no user on $name" }
        $token = @(& $program token create --user anna --name ci --data $data)[-1]
        $log = Join-Path $scratch "$name.txt"
        $process = Start-Process $program -ArgumentList 'serve', '--listen', '127.0.0.1:0', '--data', "`"$data`"" -RedirectStandardOutput $log -PassThru -WindowStyle Hidden
        $servers += $process
        $deadline = [datetime]::UtcNow.AddSeconds(30)
        while (-not ("$(Get-Content $log -Raw)" -match 'listening on (?<url>\S+)')) {
            if ($process.HasExited -or [datetime]::UtcNow -gt $deadline) { throw "$name did not start" }
            Start-Sleep -Milliseconds 100
        }
        Set-Variable "$($name)Url" $Matches.url
        Set-Variable "$($name)Credential" (New-Object System.Management.Automation.PSCredential 'anna', (ConvertTo-SecureString $token -AsPlainText -Force))
    }
    $package = Join-Path $scratch 'example-package.zip'
    & $program package make --id example-package --version 1.2.3 --size 1048576 --out $package
    & $program package add $package --data (Join-Path $scratch 'source')
    if ($LASTEXITCODE) { throw 'no package' }

    Import-Module ./target/modules/Uss/Uss.psd1
    Import-Module ./target/modules/Vap/Vap.psd1
    Connect-UssServer $sourceUrl -Credential $sourceCredential
    Connect-UssServer $destinationUrl -Credential $destinationCredential
    $result = Copy-UssPackageFromServer example-package -SourceServer $sourceUrl -Server $destinationUrl
    if ($result.Status -ne 'Copied') { throw "the copy's status is '$($result.Status)'" }
    $version = Get-UssPackageVersion example-package -Server $destinationUrl
    if ($version.Version -ne '1.2.3' -or $version.Sha256 -ne $result.Sha256) { throw 'the destination has something else' }
    try { Get-UssPackageVersion no-such-package -Server $sourceUrl -ErrorAction Stop; throw 'found what is not there' }
    catch { if ($_.FullyQualifiedErrorId -notlike 'PackageNotFound,*') { throw } }
    "Windows PowerShell $($PSVersionTable.PSVersion): copied $($result.Id) $($result.Version), $($result.Size) bytes"
}
finally {
    foreach ($process in $servers) { if (-not $process.HasExited) { $process.Kill() } }
}
