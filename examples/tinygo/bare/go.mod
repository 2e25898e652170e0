module unnest

go 1.21

require gojson v0.0.0

replace gojson => ../../gojson
