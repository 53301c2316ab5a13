package sqlstore

import (
 _ "modernc.org/sqlite"
 _ "github.com/pressly/goose/v3"
)
