# What `cargo xtask package` made of the dev build: USS_TEST_PACKAGES is its folder. It is installed as a gallery's client
# would lay it out, into a PowerShell that knows no other module of ours.

$packages = $env:USS_TEST_PACKAGES

# Where the tests run in another system's PowerShell, there are no packages of its build.
if ($packages) {
    BeforeAll {
        . $PSScriptRoot/TestServer.ps1
        $version = (Import-PowerShellDataFile (Join-Path $env:USS_TEST_MODULE 'Uss.psd1')).ModuleVersion
        $folder = Join-Path ([System.IO.Path]::GetTempPath()) "uss-package-$([guid]::NewGuid())"
        New-Item -ItemType Directory -Path $folder | Out-Null
        $a = Start-UssTestServer $folder 'anna'
        Add-UssTestPackage $a 'example-package' '1.0.0' | Out-Null

        function Get-Digest {
            param($File)
            [System.Convert]::ToHexString([System.Security.Cryptography.SHA256]::HashData([System.IO.File]::ReadAllBytes($File))).ToLowerInvariant()
        }

        function Read-Part {
            # The text of one part of a package.
            param($File, $Name)
            $zip = [System.IO.Compression.ZipFile]::OpenRead($File)
            try { [System.IO.StreamReader]::new($zip.GetEntry($Name).Open()).ReadToEnd() }
            finally { $zip.Dispose() }
        }

        function Install-Package {
            # Leaves a package's files where Save-Module would, and none of the container's own.
            param($Name, $Modules)
            $place = Join-Path $Modules "$Name/$version"
            [System.IO.Compression.ZipFile]::ExtractToDirectory((Join-Path $env:USS_TEST_PACKAGES "$Name.$version.nupkg"), $place)
            foreach ($own in '_rels', 'package', '[Content_Types].xml', "$Name.nuspec") { Remove-Item -LiteralPath (Join-Path $place $own) -Recurse -Force }
        }

        function Invoke-Installed {
            # Runs a script where only these modules are, and those of PowerShell itself.
            param($Modules, $Script)
            $own = Join-Path $PSHOME 'Modules'
            $setup = "`$env:PSModulePath = '$Modules$([System.IO.Path]::PathSeparator)$own'; `$s = [securestring]::new(); foreach (`$c in `$env:PACKAGE_TOKEN.ToCharArray()) { `$s.AppendChar(`$c) }; `$Credential = [pscredential]::new('anna', `$s)"
            Invoke-UssTestShell "$setup; $Script" @{ PACKAGE_TOKEN = $a.Token }
        }
    }

    AfterAll {
        $a | Stop-UssTestServer
        Remove-Item $folder -Recurse -Force
    }

    Describe 'The package <_>' -ForEach 'Uss', 'Vap' {
        BeforeAll {
            $name = $_
            $file = Join-Path $env:USS_TEST_PACKAGES "$name.$version.nupkg"
            $zip = [System.IO.Compression.ZipFile]::OpenRead($file)
            $entries = @($zip.Entries.FullName)
            $zip.Dispose()
        }

        It 'is a container whose parts all have a type' {
            $types = [xml] (Read-Part $file '[Content_Types].xml')
            $known = @($types.Types.Default.Extension)
            foreach ($entry in $entries | Where-Object { $_ -ne '[Content_Types].xml' }) { $known | Should -Contain ($entry -replace '.*\.') }
            $relations = ([xml] (Read-Part $file '_rels/.rels')).Relationships.Relationship
            @($relations).Count | Should -Be 2
            foreach ($relation in $relations) { $entries | Should -Contain $relation.Target.TrimStart('/') }
            $entries | Should -Contain "$name.psd1"
            @($entries -match '^native/[a-z]+(-musl)?-(x64|arm64)/').Count | Should -BeGreaterThan 0
            @($entries -match '^LICENSE-').Count | Should -Be 2
            # A client would unpack over itself, or outside.
            @($entries | Group-Object).Count | Should -Be $entries.Count
            @($entries -match '\\|^/|\.\.').Count | Should -Be 0
        }

        It 'says in its specification what its manifest says' {
            $metadata = ([xml] (Read-Part $file "$name.nuspec")).package.metadata
            $text = Read-Part $file "$name.psd1"
            [System.IO.File]::WriteAllText((Join-Path $folder "$name.psd1"), $text)
            $manifest = Import-PowerShellDataFile (Join-Path $folder "$name.psd1")
            $data = $manifest.PrivateData.PSData
            $metadata.id | Should -Be $name
            $metadata.version | Should -Be $manifest.ModuleVersion
            $metadata.description | Should -Be $manifest.Description
            $metadata.projectUrl | Should -Be $data.ProjectUri
            $metadata.licenseUrl | Should -Be $data.LicenseUri
            $metadata.iconUrl | Should -Be $data.IconUri
            $metadata.releaseNotes | Should -Be $data.ReleaseNotes
            $data.ReleaseNotes | Should -Match 'Get-'
            $tags = $metadata.tags.Split(' ')
            foreach ($tag in $data.Tags + 'PSModule', 'PSEdition_Desktop', 'PSEdition_Core') { $tags | Should -Contain $tag }
            foreach ($function in $manifest.FunctionsToExport) { $tags | Should -Contain "PSFunction_$function" }
        }
    }

    Describe 'An installed package' {
        It 'runs against a server' {
            $modules = Join-Path $folder 'modules'
            Install-Package Uss $modules
            Install-Package Vap $modules
            $shell = Invoke-Installed $modules "(Get-UssPackageVersion example-package -Server '$($a.Url)' -Credential `$Credential).Version
                (Get-Module Uss).ModuleBase; (Get-Command Invoke-VapMethod).Source"
            $shell.Errors | Should -BeNullOrEmpty
            $lines = $shell.Output -split '\r?\n'
            $lines[0] | Should -Be '1.0.0'
            $lines[1] | Should -Be (Join-Path $modules "Uss/$version")
            $lines[2] | Should -Be 'Vap'
        }

        It 'runs from the zip, unpacked into a modules folder' {
            $modules = Join-Path $folder 'unzipped'
            [System.IO.Compression.ZipFile]::ExtractToDirectory((Join-Path $env:USS_TEST_PACKAGES "uss-$version.zip"), $modules)
            $shell = Invoke-Installed $modules "(Get-UssPackageVersion example-package -Server '$($a.Url)' -Credential `$Credential).Version"
            $shell.Errors | Should -BeNullOrEmpty
            $shell.Output | Should -Be '1.0.0'
        }

        It 'names the platform that it has no library for' {
            $modules = Join-Path $folder 'elsewhere'
            Install-Package Uss $modules
            $native = Join-Path $modules "Uss/$version/native"
            $here = [System.Runtime.InteropServices.RuntimeInformation]::RuntimeIdentifier
            Rename-Item (Join-Path $native $here) 'other-x64'
            $shell = Invoke-Installed $modules "try { Get-UssPackage -Server '$($a.Url)' } catch { `$_.FullyQualifiedErrorId; `"`$_`" }"
            $id, $message = $shell.Output -split '\r?\n'
            $id | Should -Be 'NativeLibraryUnavailable,Get-UssPackage'
            $message | Should -Match "there is no .*$here"
        }
    }

    Describe 'What comes with the packages' {
        It 'is a digest of each file' {
            $sums = @([System.IO.File]::ReadAllLines((Join-Path $env:USS_TEST_PACKAGES 'SHA256SUMS')))
            $files = @(Get-ChildItem $env:USS_TEST_PACKAGES -File | Where-Object Name -NE 'SHA256SUMS')
            $sums.Count | Should -Be $files.Count
            foreach ($file in $files) { $sums | Should -Contain "$(Get-Digest $file.FullName)  $($file.Name)" }
        }

        It 'is a bill of what is linked, and of nothing else' {
            $bill = ConvertFrom-Json ([System.IO.File]::ReadAllText((Join-Path $env:USS_TEST_PACKAGES "uss-$version.cdx.json")))
            $bill.bomFormat, $bill.specVersion | Should -Be 'CycloneDX', '1.6'
            $bill.serialNumber | Should -Match '^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
            $client = $bill.components | Where-Object name -EQ 'reqwest'
            $client.purl | Should -Be "pkg:cargo/reqwest@$($client.version)"
            $client.licenses[0].expression | Should -Be 'MIT OR Apache-2.0'
            $client.hashes[0].content | Should -Match '^[0-9a-f]{64}$'
            ($bill.dependencies | Where-Object ref -EQ $bill.metadata.component.'bom-ref').dependsOn | Should -Contain $client.purl
            # Of the server, of the tests, of the compiler.
            foreach ($absent in 'axum', 'wiremock', 'serde_derive', 'zvariant_derive') { $bill.components.name | Should -Not -Contain $absent }
            foreach ($component in $bill.components) {
                $component.licenses[0].expression | Should -Not -BeNullOrEmpty
                $component.hashes[0].content | Should -Not -BeNullOrEmpty
            }
            $here = [System.Runtime.InteropServices.RuntimeInformation]::RuntimeIdentifier
            $library = $bill.metadata.component.components | Where-Object name -Like "native/$here/*"
            $installed = Join-Path $env:USS_TEST_MODULE $library.name
            $library.hashes[0].content | Should -Be (Get-Digest $installed)
        }
    }
}
