// Mixes 64 bytes of a source into the kernel's pool, counts them as 512 bits, and reseeds the generator
// from the pool, so that everything random from then on depends on them. The exit status is 0, or the
// number of the step that failed. Data: the source's path and the pool's, 64 bytes each, ended by NUL.
        .globl  _start
_start: adr     x20, data
        mov     w21, #1                         // 1: openat(AT_FDCWD, source, O_RDONLY)
        mov     x0, #-100
        mov     x1, x20
        mov     x2, #0
        mov     x8, #56
        svc     #0
        tbnz    w0, #31, exit
        mov     w19, w0
        mov     w21, #2                         // 2: read 64 bytes into a struct rand_pool_info
        sub     sp, sp, #80
        mov     w3, #512
        mov     w4, #64
        stp     w3, w4, [sp]
        mov     x22, #0
read:   mov     w0, w19
        add     x1, sp, #8
        add     x1, x1, x22
        mov     x2, #64
        sub     x2, x2, x22
        mov     x8, #63
        svc     #0
        cmp     x0, #0
        b.le    exit
        add     x22, x22, x0
        cmp     x22, #64
        b.lo    read
        mov     w21, #3                         // 3: openat(AT_FDCWD, pool, O_WRONLY)
        mov     x0, #-100
        add     x1, x20, #64
        mov     x2, #1
        mov     x8, #56
        svc     #0
        tbnz    w0, #31, exit
        mov     w19, w0
        mov     w21, #4                         // 4: ioctl(pool, RNDADDENTROPY, info)
        mov     w1, #0x5203
        movk    w1, #0x4008, lsl #16
        mov     x2, sp
        mov     x8, #29
        svc     #0
        cbnz    w0, exit
        mov     w21, #5                         // 5: ioctl(pool, RNDRESEEDCRNG, 0)
        mov     w0, w19
        mov     w1, #0x5207
        mov     x2, #0
        mov     x8, #29
        svc     #0
        cbnz    w0, exit
        mov     w21, #0
exit:   mov     w0, w21
        mov     x8, #93
        svc     #0
data:
