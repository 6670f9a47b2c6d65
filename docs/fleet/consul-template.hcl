# consul-template writes the list of nodes into the configuration, checks it, and has it taken up; a result that Ferrule
# refuses changes nothing.
template {
  source      = "/etc/ferrule/ferrule.toml.ctmpl"
  destination = "/etc/ferrule/ferrule.toml"
  perms       = 0640
  group       = "ferrule"
  backup      = true
  command     = ["sh", "-c", "ferrule check -c /etc/ferrule/ferrule.toml && systemctl reload ferrule"]
  wait {
    min = "2s"
    max = "10s"
  }
}
