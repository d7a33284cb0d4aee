from pgpublish.cli import main

main(prog_name="pgpublish")
