# What the help of each cmdlet of our modules has to have.

function Assert-UssHelp {
    # A synopsis and a description, what it returns, its notes, an example, and every parameter as it is declared.
    param([Parameter(Mandatory)] [string] $Name)
    $help = Get-Help $Name -Full
    $help.Synopsis | Should -Not -BeNullOrEmpty
    $help.Synopsis | Should -Not -BeLike "$Name *"
    $help.description.Text | Should -Not -BeNullOrEmpty
    $help.returnValues | Should -Not -BeNullOrEmpty
    $help.alertSet | Should -Not -BeNullOrEmpty
    $help.examples.example.Count | Should -BeGreaterThan 0
    $common = [System.Management.Automation.PSCmdlet]::CommonParameters
    $command = Get-Command $Name
    $parameters = @($help.parameters.PSObject.Properties | Where-Object Name -EQ 'parameter' | ForEach-Object { $_.Value })
    $documented = @($parameters | ForEach-Object { $_.name })
    "$($documented | Sort-Object)" | Should -Be "$($command.Parameters.Keys | Where-Object { $common -notcontains $_ } | Sort-Object)"
    foreach ($parameter in $parameters) {
        $parameter.description.Text | Should -Not -BeNullOrEmpty -Because "$Name -$($parameter.name)"
        "$($parameter.required)" | Should -Be "$($command.Parameters[$parameter.name].Attributes.Where({ $_ -is [parameter] })[0].Mandatory)".ToLowerInvariant() -Because "$Name -$($parameter.name)"
    }
}
