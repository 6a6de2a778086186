# Scripts that nobody watches: exit codes, no questions, plain output, hosts without a display, folders that nobody may
# write to.

. $PSScriptRoot/Platform.ps1

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    Import-Module $env:USS_TEST_MODULE -Force
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-script-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $a = Start-UssTestServer $folder 'anna'
    $b = Start-UssTestServer $folder 'bert'
    Add-UssTestPackage $a 'app' '1.0.0' -Size 1000000 | Out-Null

    function Invoke-ScriptFile {
        # Runs `pwsh -File` with a script, the modules imported and both servers at hand; stdin is closed. -Interactive:
        # as somebody's own console is started.
        param([string] $Script, [hashtable] $Environment = @{}, [switch] $Interactive)
        $file = Join-Path $folder "$([guid]::NewGuid()).ps1"
        Set-Content $file @"
`$atA = @{ Server = '$($a.Url)'; Credential = New-Object PSCredential 'anna', (ConvertTo-SecureString '$($a.Token)' -AsPlainText -Force) }
`$atB = @{ Server = '$($b.Url)'; Credential = New-Object PSCredential 'bert', (ConvertTo-SecureString '$($b.Token)' -AsPlainText -Force) }
`$copy = @{ SourceServer = `$atA.Server; SourceCredential = `$atA.Credential; Server = `$atB.Server; Credential = `$atB.Credential }
`$person = New-Object PSCredential 'anna', (ConvertTo-SecureString '$($a.Password.Replace("'", "''"))' -AsPlainText -Force)
Import-Module '$env:USS_TEST_MODULE'
$Script
"@
        $start = [System.Diagnostics.ProcessStartInfo]::new([System.Environment]::ProcessPath)
        $arguments = @('-NoLogo', '-NoProfile') + @(if (-not $Interactive) { '-NonInteractive' }) + @('-File', $file)
        foreach ($argument in $arguments) { $start.ArgumentList.Add($argument) }
        foreach ($name in $Environment.Keys) { $start.Environment[$name] = $Environment[$name] }
        $start.RedirectStandardInput = $start.RedirectStandardOutput = $start.RedirectStandardError = $true
        $process = [System.Diagnostics.Process]::Start($start)
        $process.StandardInput.Close()
        $errors = $process.StandardError.ReadToEndAsync()
        $output = $process.StandardOutput.ReadToEnd()
        $process.WaitForExit()
        @{ Output = $output.Trim(); Errors = $errors.Result.Trim(); ExitCode = $process.ExitCode }
    }
}

AfterEach {
    $atB = @{ Server = $b.Url; Credential = $b.Credential }
    Get-UssPackage @atB | Remove-UssPackage -All -Force @atB
}

AfterAll {
    $a, $b | Stop-UssTestServer
    Remove-UssTestFolder $folder
}

Describe 'The exit code of pwsh -File' {
    It 'is <Code>: <Name>' -ForEach @(
        @{ Name = 'all went well'; Code = 0; Script = 'Get-UssPackage @atA | Out-Null' }
        @{ Name = 'an error about an item, and the script went on'; Code = 0; Script = 'Get-UssPackageVersion nothing @atA; "after"'; Says = 'after' }
        @{ Name = 'an error about an item with Stop'; Code = 1; Script = '$ErrorActionPreference = "Stop"; Get-UssPackageVersion nothing @atA; "after"'; Fails = 'nothing' }
        @{ Name = 'an error about an item with -ErrorAction Stop'; Code = 1; Script = 'Get-UssPackageVersion nothing @atA -ErrorAction Stop; "after"'; Fails = 'nothing' }
        @{ Name = 'a copy that failed with Stop'; Code = 1; Script = '$ErrorActionPreference = "Stop"; Copy-UssPackageFromServer nothing @copy; "after"'; Fails = 'nothing' }
        @{ Name = 'a sign-in that failed with Stop'; Code = 1; Script = '$ErrorActionPreference = "Stop"; Connect-UssServer http://127.0.0.1:1 $person; "after"'; Fails = '127\.0\.0\.1:1' }
        @{ Name = 'the script''s own after an error'; Code = 7; Script = 'try { Get-UssPackageVersion nothing @atA -ErrorAction Stop } catch { exit 7 }' }
        @{ Name = 'the script''s own after success'; Code = 3; Script = 'Get-UssPackage @atA | Out-Null; exit 3' }
        @{ Name = 'thrown by the script'; Code = 1; Script = 'if (-not (Test-UssPackage nothing @atA)) { throw "it is missing" }'; Fails = 'it is missing' }
    ) {
        $told = Invoke-ScriptFile $Script
        $told.ExitCode | Should -Be $Code
        $told.Output | Should -Be "$($_['Says'])"
        if ($_['Fails']) { $told.Errors | Should -Match $Fails }
    }
}

Describe 'A script that nobody watches' {
    It 'is asked nothing: <Name>' -ForEach @(
        @{ Name = 'no credential'; Script = 'Get-UssPackage -Server $atA.Server'; Id = 'CredentialMissing,Get-UssPackage' }
        @{ Name = 'no credential to copy with'; Script = 'Copy-UssPackageFromServer app -SourceServer $atA.Server -Server $atB.Server'; Id = 'CredentialMissing,Copy-UssPackageFromServer' }
        @{ Name = 'no server'; Script = 'Get-UssPackage'; Id = 'NotConnected,Get-UssPackage' }
        @{ Name = 'no password for tokens'; Script = 'Get-UssPersonalToken -Server $atA.Server'; Id = 'CredentialMissing,Get-UssPersonalToken' }
        @{ Name = 'a user name in place of a credential'; Script = 'Connect-UssServer $atA.Server anna'; Id = 'InvalidArgument,Connect-UssServer' }
        @{ Name = 'a package''s name left out'; Script = 'Get-UssPackageVersion @atA'; Id = 'MissingMandatoryParameter,Get-UssPackageVersion' }
    ) {
        # On Linux no keyring answers, as on a build machine.
        $told = Invoke-ScriptFile "try { $Script -ErrorAction Stop } catch { `$_.FullyQualifiedErrorId }" @{ DBUS_SESSION_BUS_ADDRESS = 'unix:path=/nonexistent' }
        $told.Output | Should -Be $Id
        $told.Errors | Should -BeNullOrEmpty
        $told.ExitCode | Should -Be 0
    }

    It 'is asked nothing by an interactive console whose input has ended either' {
        $told = Invoke-ScriptFile 'try { Get-UssPackage -Server $atA.Server -ErrorAction Stop } catch { $_.FullyQualifiedErrorId }' @{ DBUS_SESSION_BUS_ADDRESS = 'unix:path=/nonexistent' } -Interactive
        $told.Output | Should -Be 'CredentialMissing,Get-UssPackage'
    }

    It 'removes nothing without an answer, and everything that is named with -Force' {
        $told = Invoke-ScriptFile 'Copy-UssPackageFromServer app @copy | Out-Null; try { Remove-UssPackage app 1.0.0 @atB -ErrorAction Stop } catch { "refused" }; (Get-UssPackage @atB).Id; Remove-UssPackage app 1.0.0 -Force @atB; @(Get-UssPackage @atB).Count'
        $told.Output -split '\r?\n' | Should -Be 'refused', 'app', '0'
    }

    It 'writes objects and no progress to a file' {
        # More than a second of it, which a console would show.
        $told = Invoke-ScriptFile '$row = Copy-UssPackageFromServer app @copy -MaxBytesPerSecond 500000; "$($row.Status) $($row.BytesSent)"; Remove-UssPackage app 1.0.0 -Force @atB'
        $told.Output | Should -Match '^Copied \d+$'
        $told.Output | Should -Not -Match "`e"
        $told.Errors | Should -BeNullOrEmpty
        $told.ExitCode | Should -Be 0
    }
}

Describe 'A host <Name>' -ForEach @(
    @{ Name = 'that .NET makes by default'; Make = { New-UssTestRunner } }
    @{ Name = 'of a pool of runspaces'; Make = {
            $pool = [runspacefactory]::CreateRunspacePool([initialsessionstate]::CreateDefault2())
            $pool.Open()
            $shell = [powershell]::Create()
            $shell.RunspacePool = $pool
            $shell
        } }
) {
    It 'runs every cmdlet that it is to run' {
        $shell = & $Make
        [void] $shell.AddScript({
                param($module, $atA, $atB, $copy, $person, $to)
                $ErrorActionPreference = 'Stop'
                Import-Module $module
                (Connect-UssServer @atA).UserName
                (Get-UssConnection).UserName
                (Get-UssPackage).Id
                (Get-UssPackageVersion app).Version
                (Resolve-UssDependency app).Id
                (Copy-UssPackageFromServer app @copy -MaxBytesPerSecond 500000 -Confirm:$false).Status
                (Save-UssPackage app -Path $to).Name
                (Import-UssPackage "$to/app-1.0.0.zip" @atB).Status
                (New-UssPackage made 1.0.0 -OutputDir $to).Id
                Test-UssPackage app @atB
                Remove-UssPackage app 1.0.0 -Force @atB
                Test-UssPackage app @atB
                @(Get-UssInstaller).Count
                @(Invoke-UssMethod /api/v1/Packages).Count
                $token = New-UssPersonalToken script -Server $atA.Server -Credential $person
                ($token | Revoke-UssPersonalToken -Force -Server $atA.Server -Credential $person).Status
                $token | Remove-UssPersonalToken -Force -Server $atA.Server -Credential $person
                Disconnect-UssServer
                @(Get-UssConnection).Count
            })
        $atA, $atB = @{ Server = $a.Url; Credential = $a.Credential }, @{ Server = $b.Url; Credential = $b.Credential }
        $copy = @{ SourceServer = $a.Url; SourceCredential = $a.Credential; Server = $b.Url; Credential = $b.Credential }
        $to = New-Item -ItemType Directory -Path (Join-Path $folder ([guid]::NewGuid()))
        foreach ($argument in $env:USS_TEST_MODULE, $atA, $atB, $copy, $a.Person, $to.FullName) { [void] $shell.AddArgument($argument) }
        try {
            $told = @($shell.Invoke() | ForEach-Object { "$_" })
            $told | Should -Be 'anna', 'anna', 'app', '1.0.0', 'app', 'Copied', 'app-1.0.0.zip', 'Skipped', 'made', 'True', 'False', '0', '1', 'Revoked', '0'
            $shell.Streams.Error | Should -BeNullOrEmpty
            $shell.Streams.Progress.Count | Should -BeGreaterThan 0
        }
        finally {
            if ($null -ne $shell.RunspacePool) { $shell.RunspacePool.Dispose() }
            $shell.Dispose()
        }
    }
}

Describe 'Where nobody may write' {
    BeforeAll {
        function Assert-WarnedCopy {
            # A copy with these variables is made all the same, after one warning.
            param([hashtable] $Environment, [string] $Warning)
            $told = Invoke-ScriptFile '(Copy-UssPackageFromServer app @copy 3>&1) | ForEach-Object { if ($_ -is [System.Management.Automation.WarningRecord]) { "$_" } else { $_.Status } }' $Environment
            $told.Errors | Should -BeNullOrEmpty
            $said, $status, $rest = $told.Output -split '\r?\n'
            $said | Should -Match $Warning
            $status | Should -Be 'Copied'
            $rest | Should -BeNullOrEmpty
            $told.ExitCode | Should -Be 0
        }
    }

    It 'a copy is made without the notes to go on by, which one warning says' {
        # A file in place of the folder: not even root can write into that.
        $file = Join-Path $folder 'no-folder'
        Set-Content $file 'a file'
        Assert-WarnedCopy @{ XDG_STATE_HOME = $file; LOCALAPPDATA = $file } "^The state of copies cannot be kept in $([regex]::Escape($file)).*gone on with"
    }

    if (-not $onUnix) {
        It 'a copy is made by a task whose account has no profile, which one warning says' {
            Assert-WarnedCopy @{ LOCALAPPDATA = '' } '^The system names no folder for the state of copies'
        }
    }
}
