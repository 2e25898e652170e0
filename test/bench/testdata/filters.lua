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

-- What examples/showcase-rust does, as far as Lua can: no metric, no count that expires, no metadata.
local countries = {["192.0.2.7"] = "DE", ["198.51.100.4"] = "FR", ["2001:db8::1"] = "JP"}
local counts = {}

local function mask(value)
    if type(value) == "string" then
        if string.find(value, "@", 1, true) then
            return (string.gsub(value, "[%w%._%%+%-\128-\255]+@[%w%-\128-\255]+[%w%.%-\128-\255]*", "***"))
        end
    elseif type(value) == "table" then
        for k, v in pairs(value) do
            local masked = mask(v)
            if masked ~= v then
                value[k] = masked
            end
        end
    end
    return value
end

function showcase(tag, timestamp, record)
    if record["level"] == "debug" then
        return -1, timestamp, record
    end
    mask(record)
    record["environment"] = "production"
    record["country"] = countries[record["client_ip"]]
    local user = record["user"]
    if type(user) == "string" then
        counts[user] = (counts[user] or 0) + 1
        record["count"] = counts[user]
    end
    local items = record["items"]
    if type(items) ~= "table" or #items == 0 then
        return 2, timestamp, record
    end
    local list = {}
    for i, item in ipairs(items) do
        local one = {}
        for k, v in pairs(record) do
            one[k] = v
        end
        one["items"] = item
        list[i] = one
    end
    return 2, timestamp, list
end
