# What terragrunt.hcl includes where no root file is found: nothing. The unit then keeps its state in this folder.
