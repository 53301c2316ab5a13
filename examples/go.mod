module github.com/integrationkit/integrationkit/examples

go 1.26.0

require (
	github.com/integrationkit/integrationkit v0.0.0
	github.com/integrationkit/integrationkit/adapters/sqlstore v0.0.0
	github.com/vbauerster/mpb/v8 v8.16.2
	golang.org/x/term v0.38.0
)

replace (
	github.com/integrationkit/integrationkit => ../
	github.com/integrationkit/integrationkit/adapters/sqlstore => ../adapters/sqlstore
)
