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

-- What examples/showcase-rust does, as far as Lua can: counts expire by the time of records, what has been
-- masked is counted where only the script sees it, and groups stay as they are.
local countries, counts, masked = {}, {}, {body = 0, metadata = 0}
for line in io.lines("geo.csv") do
    local address, country = line:match("^([^,]*),([^,]*)")
    countries[address] = country
end

local find, gsub = string.find, string.gsub

local function mask(values, where)
    for k, v in pairs(values) do
        local kind = type(v)
        if kind == "table" then
            mask(v, where)
        elseif kind == "string" and find(v, "@", 1, true) then
            local text, n = gsub(v, "[%w%._%%+%-\128-\255]+@[%w%-\128-\255]+[%w%.%-\128-\255]*", "***")
            if n > 0 then
                values[k] = text
                masked[where] = masked[where] + n
            end
        end
    end
end

local function count(user, now)
    local entry = counts[user]
    if not entry or entry.expires <= now then
        entry = {n = 0, expires = now + 60}
        counts[user] = entry
    end
    entry.n = entry.n + 1
    return entry.n
end

-- Returns the record, or a list of records.
local function made(record, now)
    local user, items = record.user, record.items
    record.count = type(user) == "string" and count(user, now) or nil
    mask(record, "body")
    record.environment = "production"
    record.country = countries[record.client_ip]
    if type(items) ~= "table" or #items == 0 then
        return record
    end
    local list = {}
    for i, item in ipairs(items) do
        local one = {}
        for k, v in pairs(record) do
            one[k] = v
        end
        one.items = item
        list[i] = one
    end
    return list
end

-- Fluent Bit 4.1 and later hand over metadata to a function of five arguments; older ones have the record third.
function showcase(tag, timestamp, group, metadata, record)
    local older = not record
    record = record or group
    if record.level == "debug" then
        return -1, timestamp, metadata, record
    end
    if older then
        return 2, timestamp, made(record, timestamp)
    end
    mask(metadata, "metadata")
    return 2, timestamp, metadata, made(record, timestamp)
end
