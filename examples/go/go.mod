module geo

go 1.24

require gojson v0.0.0

replace gojson => ../gojson
