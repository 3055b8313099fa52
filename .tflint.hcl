config {
  call_module_type = "local"
}

# The rules that come inside TFLint: nothing is downloaded.
plugin "terraform" {
  enabled = true
  preset  = "all"
}
