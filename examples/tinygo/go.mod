module unnest

go 1.21
