@{
    # The table views, loaded with the first objects (Command.psm1).
    ModuleVersion     = '0.1.0'
    GUID              = '0f2f7a44-6f0c-4c38-9b43-5a3d8f1c2b90'
    FormatsToProcess  = 'Uss.format.ps1xml'
    FunctionsToExport = @()
    CmdletsToExport   = @()
    VariablesToExport = @()
    AliasesToExport   = @()
}
