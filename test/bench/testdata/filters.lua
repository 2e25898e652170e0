-- What the rows of the benchmark ask of the lua filter.

function add(tag, timestamp, record)
    record["k"] = "v"
    return 2, timestamp, record
end

function drop(tag, timestamp, record)
    if record["level"] == "debug" then
        return -1, timestamp, record
    end
    return 0, timestamp, record
end

function keep(tag, timestamp, record)
    return 0, timestamp, record
end
