# Mixes 64 bytes of a source into the kernel's pool, counts them as 512 bits, and reseeds the generator
# from the pool, so that everything random from then on depends on them. The exit status is 0, or the
# number of the step that failed. Data: the source's path and the pool's, 64 bytes each, ended by NUL.
        .globl  _start
_start: mov     $1, %r15d                       # 1: open(source, O_RDONLY)
        lea     data(%rip), %rdi
        xor     %esi, %esi
        mov     $2, %eax
        syscall
        test    %eax, %eax
        js      exit
        mov     %eax, %ebx
        inc     %r15d                           # 2: read 64 bytes into a struct rand_pool_info
        sub     $72, %rsp
        movl    $512, (%rsp)
        movl    $64, 4(%rsp)
        xor     %ebp, %ebp
read:   mov     %ebx, %edi
        lea     8(%rsp,%rbp), %rsi
        mov     $64, %edx
        sub     %ebp, %edx
        xor     %eax, %eax
        syscall
        test    %eax, %eax
        jle     exit
        add     %eax, %ebp
        cmp     $64, %ebp
        jb      read
        inc     %r15d                           # 3: open(pool, O_WRONLY)
        lea     data+64(%rip), %rdi
        mov     $1, %esi
        mov     $2, %eax
        syscall
        test    %eax, %eax
        js      exit
        mov     %eax, %ebx
        inc     %r15d                           # 4: ioctl(pool, RNDADDENTROPY, info)
        mov     %ebx, %edi
        mov     $0x40085203, %esi
        mov     %rsp, %rdx
        mov     $16, %eax
        syscall
        test    %eax, %eax
        jnz     exit
        inc     %r15d                           # 5: ioctl(pool, RNDRESEEDCRNG, 0)
        mov     %ebx, %edi
        mov     $0x5207, %esi
        xor     %edx, %edx
        mov     $16, %eax
        syscall
        test    %eax, %eax
        jnz     exit
        xor     %r15d, %r15d
exit:   mov     %r15d, %edi
        mov     $60, %eax
        syscall
        .balign 4, 0xcc
data:
