# The platform demo's script: a token for one job, shown as typed, with what comes of it.
param(
    [Parameter(Mandatory)] [string] $Module,
    [Parameter(Mandatory)] [string] $Platform,
    [switch] $Plain
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. $PSScriptRoot/screen.ps1

function Wait-State([string] $State) {
    foreach ($try in 1..100) {
        if ((Get-VapEnvironment my-project).Status -eq $State) { return }
        [System.Threading.Thread]::Sleep(200)
    }
    throw "my-project did not become $State."
}

# Signs in to the pages, as a browser does: the form's own token goes back with it, and the cookies stay in $browser.
function Enter-Pages([pscredential] $As) {
    $page = Invoke-WebRequest "$Platform/sign-in" -SessionVariable script:browser
    if ($page.Content -notmatch 'name="csrf" value="([0-9a-f]+)"') { throw 'The sign-in page has no form.' }
    $form = @{ csrf = $Matches[1]; name = $As.UserName; password = $As.GetNetworkCredential().Password }
    $null = Invoke-WebRequest "$Platform/sign-in" -Method Post -Body $form -WebSession $script:browser
}

# The state that the page of environments shows for one.
function Read-PageState([string] $Name) {
    $page = Invoke-WebRequest "$Platform/environments" -WebSession $script:browser
    if ($page.Content -notmatch "(?s)scope=`"row`">$([regex]::Escape($Name))\b.*?data-label=`"State`"><span[^>]*>([^<]+)<") {
        throw "The page does not show $Name."
    }
    $Matches[1]
}

function Show-Page([string] $State) {
    $shown = Read-PageState my-project
    if ($shown -ne $State) { throw "The page shows my-project as $shown, not $State." }
    Write-Fact "The page $Platform/environments shows it: my-project, $shown."
}

$started = [DateTime]::UtcNow
Import-Module $Module
$login = New-Credential 'ada' $env:DEMO_PASSWORD
$password = $login.Password

Write-Chapter 1 'Sign in with login and password, to manage tokens'
Show { Connect-VapPlatform $Platform -Credential $login -SignIn }
Show { Get-VapEnvironment }
Enter-Pages $login
Show-Page 'Running'

Write-Chapter 2 'A token that may stop and start environments, and nothing else'
Show { New-VapToken 'nightly stop' -Method environment/control/stopenv, environment/control/startenv -Expires ([DateTime]::UtcNow.AddDays(90)) -Password $password }
$token = $result[0]
$robot = [pscredential]::new('robot', $token.Value)

Write-Chapter 3 'A script stops my-project with it'
Show { Stop-VapEnvironment my-project -Server $Platform -Credential $robot }
Wait-State 'Down'
Show { Get-VapEnvironment my-project }
Show-Page 'Stopped'

Write-Chapter 4 'The same by one URL, as a browser or curl would'
Show { Start-VapEnvironment my-project -Wait }
$value = $robot.GetNetworkCredential().Password
Show { Invoke-RestMethod "$Platform/1.0/environment/control/rest/stopenv?envName=my-project&session=$([uri]::EscapeDataString($value))" }
if ($result[0].result -ne 0) { throw 'The URL did not stop the environment.' }
Wait-State 'Down'
Write-Fact 'result 0: my-project is down again.'
Show-Page 'Stopped'

Write-Chapter 5 'What the token does not hold is refused'
Show-Refusal { Invoke-VapMethod environment/control/getenvs -Server $Platform -Credential $robot }
if ($refusal.FullyQualifiedErrorId -notlike 'Vap.8202,*') { throw 'It should have been refused by the API set.' }

Write-Chapter 6 'A new value for the token: the old one dies at once'
Show { Reset-VapToken $token.Id -Password $password -Force }
$renewed = [pscredential]::new('robot', $result[0].Value)
Show-Refusal { Start-VapEnvironment my-project -Server $Platform -Credential $robot }
Show { Start-VapEnvironment my-project -Server $Platform -Credential $renewed }
Wait-State 'Running'
Write-Fact 'The new value starts it.'
Show-Page 'Running'

Write-Host ''
Write-Fact ('Done in {0:0} s; the server and its data are removed.' -f ([DateTime]::UtcNow - $started).TotalSeconds)
