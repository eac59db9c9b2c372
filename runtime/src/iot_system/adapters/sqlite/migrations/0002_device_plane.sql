-- Commits are numbered: what users and timers change moves no position in the stream.
alter table partitions add column revision integer not null default 0;

alter table devices add column gateway text;

create table commands (
    device integer references devices on delete cascade,
    id text,
    name text not null,
    payload text not null,
    status text not null,
    created_us integer not null,
    updated_us integer not null,
    expires_us integer not null,
    created_by text not null,
    room text,
    result text not null,
    reason text,
    sends integer not null,
    primary key (device, id)
) without rowid;
create index commands_by_time on commands (device, created_us, id);
create index commands_open on commands (device, created_us, id) where status in ('queued', 'sent', 'delivered');
create index commands_at_end on commands (updated_us) where status not in ('queued', 'sent', 'delivered');
create index commands_of_rooms on commands (room, id) where room is not null;

-- When an actor is due next, and who is connected where: what a new owner begins with.
create table timers (
    partition integer,
    kind text,
    id text,
    due_us integer not null,
    primary key (partition, kind, id)
) without rowid;

create table connections (
    device integer primary key references devices on delete cascade,
    partition integer not null,
    gateway text not null
);
create index connections_by_partition on connections (partition);

create table failures (
    key integer primary key autoincrement,
    kind text not null,
    id text not null,
    time_us integer not null,
    handler text not null,
    error text not null,
    message text not null
);
create index failures_by_actor on failures (kind, id, key);

-- Apart from the rooms' states, as with devices. A room of which somebody has only heard has none.
create table room_registrations (
    id text primary key,
    behaviour text not null,
    labels text not null,
    stale_after_s real not null,
    created_us integer not null,
    updated_us integer not null
) without rowid;

create table api_tokens (
    id text primary key,
    name text not null,
    role text not null,
    scopes text not null,
    sha256 blob not null,
    created_us integer not null,
    expires_us integer,
    created_by text not null
) without rowid;

create table audit (
    key integer primary key autoincrement,
    time_us integer not null,
    author text not null,
    action text not null,
    target text not null,
    detail text not null
);
create index audit_by_target on audit (target, key);
create index audit_by_author on audit (author, key);
create index audit_by_time on audit (time_us);
