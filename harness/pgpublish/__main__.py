from pgpublish.cli import main

main()
