module geo

go 1.24
