-- Times count microseconds since 1970 (UTC). Text is compared by its bytes.

create table partitions (
    number integer primary key,
    epoch integer not null,
    owner text not null,
    stream text not null,
    applied integer not null,
    -- Last number per source and per target partition (MessagePack).
    received blob not null,
    sent blob not null
);

create table outbox (
    source integer,
    target integer,
    number integer,
    data blob not null,
    primary key (source, target, number)
) without rowid;

create table devices (
    -- A key is never given again: history of a deleted device cannot come back with the next one.
    key integer primary key autoincrement,
    id text not null unique,
    room text,
    behaviour text not null,
    labels text not null,
    enabled integer not null,
    created_us integer not null,
    updated_us integer not null
);
create index devices_by_room on devices (room, id);

create table device_states (
    device integer primary key references devices on delete cascade,
    state blob not null
);

create table credentials (
    device integer references devices on delete cascade,
    id text,
    sha256 blob not null,
    created_us integer not null,
    primary key (device, id)
) without rowid;

create table rooms (
    id text primary key,
    state blob not null
) without rowid;

create table metrics (
    key integer primary key,
    name text not null unique
);

-- `kind` is 0 for a number, 1 for a bool, 2 for text, 3 for JSON; `value` has no declared type, so that an integer
-- stays one and a float too.
create table history (
    device integer references devices on delete cascade,
    time_us integer,
    metric integer,
    kind integer not null,
    value not null,
    primary key (device, time_us, metric)
) without rowid;
