# SPDX-License-Identifier: Apache-2.0
# Reads a Nuke script with Tcl's own parser: nodes, inputs, knobs, each text as hexadecimal.
# Written on its own: it shares nothing with nk.py but the question. The script runs in a bare
# interpreter that has no command but `set`, so every word of it comes here.
fconfigure stdout -encoding utf-8
set next 0; set depth 0; set stacks(0) {}; set in_body 0

proc hex {text} { binary scan [encoding convertto utf-8 $text] H* found; return "x$found" }
proc top {n} {
    set found [lindex $::stacks($::depth) end-$n]
    if {$found eq ""} { error "nothing on the stack" }
    return $found
}
proc pop {} {
    set found [lindex $::stacks($::depth) end]
    set ::stacks($::depth) [lrange $::stacks($::depth) 0 end-1]
    return [expr {$found eq "" ? 0 : $found}]
}
proc node {kind body} {
    set id [incr ::next]
    set ::kinds($id) $kind
    set ::knobs [dict create]
    set ::own {}
    set ::in_body 1
    interp eval script $body
    set ::in_body 0
    set given [dict exists $::knobs inputs]
    set count [expr {$given ? [dict get $::knobs inputs] : 1}]
    if {[regexp {^(\d+)\+(\d+)$} $count -> a b]} { set count [expr {$a + $b}] }
    if {![string is digit -strict $count]} { error "inputs $count" }
    if {!$given && $kind in {Input BackdropNode StickyNote}} { set count 0 }
    set inputs {}
    for {set i 0} {$i < $count} {incr i} { lappend inputs [pop] }
    if {!$given} {
        while {[llength $inputs] && [lindex $inputs end] == 0} {
            set inputs [lrange $inputs 0 end-1]
        }
    }
    puts "node $id $kind [join $inputs ,]"
    dict for {name value} $::knobs { puts "knob [hex $name] [hex $value]" }
    foreach words $::own { puts "own [join [lmap w $words {hex $w}] { }]" }
    lappend ::stacks($::depth) $id
    if {$kind in {Group LiveGroup}} { set ::stacks([incr ::depth]) {} }
}
proc command {name args} {
    if {$::in_body} {
        if {$name eq "addUserKnob"} {
            lappend ::own [lindex $args 0]
        } else {
            dict set ::knobs $name [join $args]
        }
        return
    }
    switch -- $name {
        stack { return [top [lindex $args 0]] }
        clone {
            if {[llength $args] == 1} { return [top 0] }
            node $::kinds([lindex $args 0]) [lindex $args 1]
        }
        push {
            set id [lindex $args 0]
            if {![string is digit -strict $id]} { error "push $id" }
            lappend ::stacks($::depth) $id
        }
        version { puts "version [hex [join $args]]" }
        add_layer { puts "layer [hex [string trim [lindex $args 0]]]" }
        end_group { if {[incr ::depth -1] < 0} { error "end_group" } }
        Root - define_window_layout_xml { }
        default {
            if {[llength $args] != 1} { error "not a command of a script: $name" }
            node $name [lindex $args 0]
        }
    }
}

interp create script
foreach name [interp eval script {info commands}] {
    if {$name ni {set rename}} { interp eval script [list rename $name {}] }
}
interp eval script {rename rename {}}
interp alias script unknown {} command
set channel [open [lindex $argv 0]]
fconfigure $channel -encoding utf-8
interp eval script {set cut_paste_input 0}
interp eval script [read $channel]
if {$depth} { error "a group has no end" }
