# What stops the modules from running is one clear error each: the language mode at import, the native library at the
# first call. No server is needed: nothing gets that far.

. $PSScriptRoot/Platform.ps1

BeforeAll {
    . $PSScriptRoot/TestServer.ps1
    $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-loader-$([guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    $modules = Split-Path $env:USS_TEST_MODULE

    function Copy-StagedModule {
        # A copy of the staged module: its folder and its native library for this process.
        param([string] $Module = 'Uss')
        $copy = Join-Path $folder "$([guid]::NewGuid())/$Module"
        New-Item -ItemType Directory -Path (Split-Path $copy) | Out-Null
        Copy-Item (Join-Path $modules $Module) $copy -Recurse
        $name = if ($IsWindows) { 'uss.dll' } elseif ($IsMacOS) { 'libuss.dylib' } else { 'libuss.so' }
        @{ Folder = $copy; Library = @(Get-ChildItem (Join-Path $copy 'native') -Recurse -File -Filter $name)[0].FullName }
    }

    function Get-MachineOffset {
        # Where the library says which processor it is for.
        param([byte[]] $Bytes)
        if ($Bytes[0] -eq 0x4D) { [System.BitConverter]::ToInt32($Bytes, 60) + 4 } elseif ($Bytes[0] -eq 0x7F) { 18 } else { 4 }
    }

    function Set-UnloadableLibrary {
        # Makes the library one that the system refuses, though its system and processor are right: of no known kind.
        param([string] $Path)
        $bytes = [System.IO.File]::ReadAllBytes($Path)
        if ($bytes[0] -eq 0x4D) { $bytes[(Get-MachineOffset $bytes) + 16] = 0 } elseif ($bytes[0] -eq 0x7F) { $bytes[16] = 99 } else { $bytes[12] = 99 }
        [System.IO.File]::WriteAllBytes($Path, $bytes)
    }

    function Get-FirstError {
        # The code, message, hint and category of the first call's error, which is all that the process says.
        param($Copy, [string] $Call = "Get-UssPackage -Server 'http://127.0.0.1:1' -ErrorAction Stop")
        $shell = Invoke-UssTestShell "Import-Module '$($Copy.Folder)'
            try { $Call } catch { `$_.FullyQualifiedErrorId; `"`$_`"; `$_.ErrorDetails.RecommendedAction; `$_.CategoryInfo.Category }"
        $shell.Errors | Should -BeNullOrEmpty
        $code, $message, $hint, $category, $rest = $shell.Output -split '\r?\n'
        $rest | Should -BeNullOrEmpty
        @{ Code = $code; Message = $message; Hint = $hint; Category = $category }
    }

    function Assert-LibraryError {
        param($Copy, [string] $Says, [string] $Hint)
        $found = Get-FirstError $Copy
        $found.Code | Should -Be 'NativeLibraryUnavailable,Get-UssPackage'
        $found.Message | Should -BeLike "The module's native library cannot be used: $Says"
        $found.Hint | Should -BeLike $Hint
        $found.Category | Should -Be 'ResourceUnavailable'
    }
}

AfterAll { Remove-UssTestFolder $folder }

if (-not $onWine) {
    Describe 'The error of a native library that cannot be used' {
        It 'says that it is missing' {
            $copy = Copy-StagedModule
            Remove-Item $copy.Library
            Assert-LibraryError $copy 'there is no *uss.*' 'Install the module again, for this system and processor.'
        }

        It 'says that it is damaged when it is no library' {
            $copy = Copy-StagedModule
            Set-Content $copy.Library 'no library'
            Assert-LibraryError $copy '*cannot be loaded: it is damaged.' 'Install the module again*'
        }

        It 'says that it is damaged when it is empty' {
            $copy = Copy-StagedModule
            [System.IO.File]::WriteAllBytes($copy.Library, [byte[]] @())
            Assert-LibraryError $copy '*cannot be loaded: it is damaged.' 'Install the module again*'
        }

        It 'says which processor it is made for when that is another' {
            $copy = Copy-StagedModule
            $bytes = [System.IO.File]::ReadAllBytes($copy.Library)
            $at = Get-MachineOffset $bytes
            # x86, in the words of PE and of ELF, and a number that Mach-O has not given.
            $bytes[$at], $bytes[$at + 1] = if ($bytes[0] -eq 0x4D) { 0x4C, 0x01 } elseif ($bytes[0] -eq 0x7F) { 3, 0 } else { 99, 0 }
            [System.IO.File]::WriteAllBytes($copy.Library, $bytes)
            Assert-LibraryError $copy '*cannot be loaded: it is made for * and this process is *' 'Install the module again*'
        }

        It 'says which system it is made for when that is another' {
            $copy = Copy-StagedModule
            $bytes = [byte[]]::new(512)
            if ($IsWindows) { $bytes[0], $bytes[1], $bytes[2], $bytes[3], $bytes[18] = 0x7F, 0x45, 0x4C, 0x46, 183; $made = 'Linux Arm64' }
            else { $bytes[0], $bytes[1], $bytes[60], $bytes[132], $bytes[133] = 0x4D, 0x5A, 128, 0x64, 0x86; $made = 'Windows X64' }
            [System.IO.File]::WriteAllBytes($copy.Library, $bytes)
            Assert-LibraryError $copy "*cannot be loaded: it is made for $made, and this process is *" 'Install the module again*'
        }

        It 'says where else to look when the file has no fault that shows' {
            $copy = Copy-StagedModule
            Set-UnloadableLibrary $copy.Library
            Assert-LibraryError $copy '*cannot be loaded, though it is made for *' 'Install the module again*antivirus*'
        }

        if ($onUnix) {
            It 'says that it bears the mark of the web' {
                # Windows keeps the mark in the stream of this name; a file that comes over to Linux brings it as a file.
                $copy = Copy-StagedModule
                Set-UnloadableLibrary $copy.Library
                Set-Content "$($copy.Library):Zone.Identifier" '[ZoneTransfer]'
                Assert-LibraryError $copy '*it was downloaded, and is blocked by the mark of the web.' "Unblock the module's files*Unblock-File"
            }
        }

        It 'is the same in module Vap' {
            $copy = Copy-StagedModule 'Vap'
            Set-Content $copy.Library 'no library'
            $found = Get-FirstError $copy "Get-VapEnvironment -Server 'http://127.0.0.1:1' -Credential ([pscredential]::new('a', (ConvertTo-SecureString b -AsPlainText -Force)))"
            $found.Code | Should -Be 'NativeLibraryUnavailable,Get-VapEnvironment'
            $found.Message | Should -BeLike '*cannot be loaded: it is damaged.'
        }
    }
}

Describe 'A native library of another version' {
    It 'is said to be <Age> than the module' -ForEach @(
        @{ Age = 'older'; Needs = 2 }
        @{ Age = 'newer'; Needs = 0 }
    ) {
        $copy = Copy-StagedModule
        $script = Join-Path $copy.Folder 'Native.psm1'
        $text = Get-Content $script -Raw
        $text | Should -Match 'AbiVersion = 1'
        Set-Content $script $text.Replace('AbiVersion = 1', "AbiVersion = $Needs") -NoNewline
        Assert-LibraryError $copy "*is $Age than this module: it has interface version 1, and this module needs $Needs." 'Install the module again, all of its files together*'
    }
}

Describe 'The module folder' {
    It 'is not written to, so that it may be read-only' {
        $copy = Copy-StagedModule
        $listing = { (Get-ChildItem $copy.Folder -Recurse | Sort-Object FullName | ForEach-Object { "$($_.FullName) $($_.LastWriteTimeUtc.Ticks)" }) -join "`n" }
        Get-ChildItem $copy.Folder -Recurse -File | ForEach-Object { $_.IsReadOnly = $true }
        try {
            $before = & $listing
            (Get-FirstError $copy).Code | Should -Not -BeLike 'NativeLibraryUnavailable*'
            & $listing | Should -Be $before
        }
        finally { Get-ChildItem $copy.Folder -Recurse -File | ForEach-Object { $_.IsReadOnly = $false } }
    }
}

Describe 'Constrained language mode' {
    BeforeAll {
        function Get-ConstrainedError {
            # The errors of $Script in a runspace that turns to the constrained language mode after $Before. In a process of
            # its own: PowerShell is stricter in all runspaces of a process that ever had the mode.
            param([string] $Before, [string] $Script)
            $told = Invoke-UssTestShell @'
                $runspace = [runspacefactory]::CreateRunspace([initialsessionstate]::CreateDefault2())
                $runspace.Open()
                $shell = [powershell]::Create($runspace)
                if ($env:USS_TEST_BEFORE) { $shell.AddScript($env:USS_TEST_BEFORE).Invoke() | Out-Null; $shell.Commands.Clear() }
                $runspace.SessionStateProxy.LanguageMode = 'ConstrainedLanguage'
                $records = @(
                    try { $shell.AddScript($env:USS_TEST_SCRIPT).Invoke() | Out-Null } catch { $_.Exception.GetBaseException().ErrorRecord }
                    $shell.Streams.Error
                )
                foreach ($record in $records) { "$($record.FullyQualifiedErrorId) | $($record.Exception.Data.Contains('HttpStatus')) | $record" }
'@ @{ USS_TEST_BEFORE = $Before; USS_TEST_SCRIPT = $Script }
            $told.Errors | Should -BeNullOrEmpty
            $told.Output -split '\r?\n'
        }
    }

    It 'is one error when <_> is imported, which says what is needed' -ForEach 'Uss', 'Vap' {
        $errors = @(Get-ConstrainedError '' "Import-Module '$(Join-Path $modules $_)'")
        $errors.Count | Should -Be 1
        $errors[0] | Should -BeLike "* | The module $_ needs the full language mode: sign its files by a publisher*or have the policy allow*"
    }

    It 'does not stop <Module> when it was imported before' -ForEach @(
        @{ Module = 'Uss'; Call = "Get-UssPackage -Server 'http://127.0.0.1:1'" }
        @{ Module = 'Vap'; Call = "Connect-VapPlatform 'http://127.0.0.1:1'" }
    ) {
        $errors = @(Get-ConstrainedError "Import-Module '$(Join-Path $modules $Module)'" $Call)
        $errors.Count | Should -Be 1
        # The library's own answer.
        $errors[0] | Should -BeLike '* | True | *'
        $errors[0] | Should -Not -BeLike 'NativeLibraryUnavailable*'
    }
}
