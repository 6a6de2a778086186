# Reports what the allow-list for Windows PowerShell 5.1 holds and .NET Framework 4.7.2 has not.
#   Test-UssFramework.ps1 -Reference FOLDER [-List FILE]     prints one line for each finding; no output means clean
# The folder holds the framework's reference assemblies: of each type and member their names, and no code. The types of
# System.Management.Automation are compared only where its reference assembly lies there too: the framework has none.
param([Parameter(Mandatory)] [string] $Reference, [string] $List = "$PSScriptRoot/windows-powershell-5.1.txt")
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

# Every type of every assembly by its name: the public names it has, and the types it has more of them from.
$types = @{}

function Get-TypeName {
    # The name of a type that is defined or referred to; nothing for one that is made of another.
    param($Reader, [System.Reflection.Metadata.EntityHandle] $Handle)
    if ($Handle.IsNil) { return }
    $entity = switch ("$($Handle.Kind)") {
        'TypeDefinition' { $Reader.GetTypeDefinition($Handle) }
        'TypeReference' { $Reader.GetTypeReference($Handle) }
    }
    if ($entity) { "$($Reader.GetString($entity.Namespace)).$($Reader.GetString($entity.Name))" }
}

function Read-Assembly {
    param([string] $File)
    $pe = [System.Reflection.PortableExecutable.PEReader]::new([System.IO.File]::OpenRead($File))
    try {
        if (-not $pe.HasMetadata) { return }
        $reader = [System.Reflection.Metadata.PEReaderExtensions]::GetMetadataReader($pe)
        foreach ($handle in $reader.TypeDefinitions) {
            $type = $reader.GetTypeDefinition($handle)
            if (($type.Attributes -band [System.Reflection.TypeAttributes]::VisibilityMask) -ne [System.Reflection.TypeAttributes]::Public) { continue }
            $names = @{}
            foreach ($field in $type.GetFields()) {
                $field = $reader.GetFieldDefinition($field)
                if (($field.Attributes -band [System.Reflection.FieldAttributes]::FieldAccessMask) -eq [System.Reflection.FieldAttributes]::Public) { $names[$reader.GetString($field.Name)] = $true }
            }
            foreach ($method in $type.GetMethods()) {
                $method = $reader.GetMethodDefinition($method)
                if (($method.Attributes -band [System.Reflection.MethodAttributes]::MemberAccessMask) -ne [System.Reflection.MethodAttributes]::Public) { continue }
                # A property is named by what reads or writes it; `new` is how PowerShell names a constructor.
                $names[($reader.GetString($method.Name) -replace '^\.ctor$', 'new' -replace '^[gs]et_')] = $true
            }
            $bases = @(Get-TypeName $reader $type.BaseType) + @(foreach ($one in $type.GetInterfaceImplementations()) { Get-TypeName $reader $reader.GetInterfaceImplementation($one).Interface })
            $types[(Get-TypeName $reader $handle)] = @{ Names = $names; Bases = $bases }
        }
    }
    finally { $pe.Dispose() }
}

function Test-Member {
    # Whether a type has a public member of its own or of what it comes from; a constructor is its own.
    param([string] $Type, [string] $Member)
    if (-not $types.ContainsKey($Type)) { return $false }
    if ($types[$Type].Names.ContainsKey($Member)) { return $true }
    if ($Member -eq 'new') { return $types[$Type].Bases -contains 'System.ValueType' }
    foreach ($base in $types[$Type].Bases) { if ($base -and (Test-Member $base $Member)) { return $true } }
    $false
}

foreach ($file in Get-ChildItem $Reference -Filter *.dll) { Read-Assembly $file.FullName }
if (-not $types.ContainsKey('System.Object')) { throw "$Reference holds no reference assemblies" }
$engine = $types.ContainsKey('System.Management.Automation.PSObject')
foreach ($row in [System.IO.File]::ReadAllLines($List)) {
    if (-not $row -or $row.StartsWith('#')) { continue }
    $type, $members, $null = $row.Split('|').Trim()
    if ($type -eq 'own' -or ($type.StartsWith('System.Management.Automation.') -and -not $engine)) { continue }
    if (-not $types.ContainsKey($type)) { "${type}: the framework has no such type"; continue }
    foreach ($member in "$members".Split(' ', [System.StringSplitOptions]::RemoveEmptyEntries)) {
        $name, $edition = $member.Split('@')
        $there = Test-Member $type $name
        if ($edition -and $there) { "${type}: the framework has $name too: it needs no @$edition" }
        elseif (-not $edition -and -not $there) { "${type}: the framework has no $name" }
    }
}
