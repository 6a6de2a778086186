@{
    # The table views, loaded with the first objects (Platform.psm1).
    ModuleVersion     = '0.1.0'
    GUID              = '8f4f0b7a-64f4-4a55-8c6e-0b9b7c1d5a42'
    Description       = 'How the objects of Vap are shown.'
    FormatsToProcess  = 'Vap.format.ps1xml'
    FunctionsToExport = @()
    CmdletsToExport   = @()
    VariablesToExport = @()
    AliasesToExport   = @()
}
